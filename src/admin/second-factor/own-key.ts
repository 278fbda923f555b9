import type { AdminContext } from '#admin/request/context.ts'
import type { AdminKey } from '#core/admin-key.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'

/** The key of the request, where the path names it: a second factor is set up by its own key alone. */
export function ownKey(c: AdminContext): AdminKey | undefined {
  const id = percentDecoded(c.get('target').path.split('/')[3] ?? '')
  const own = c.get('adminKey')
  return own?.id === id ? own : undefined
}
