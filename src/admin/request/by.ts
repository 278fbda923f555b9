import { configuredKeyId } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import type { AdminContext, AdminParts } from './context.ts'
import { addressOf } from './trace.ts'

/** Who asks for a change, and when: the admin key of the request. */
export function byOf(c: AdminContext, { clock, clientAddress }: AdminParts): By {
  const key = c.get('adminKey')
  // `authenticate` lets no request without a key pass.
  if (!key) throw new Error('a change without an admin key')
  return {
    now: clock(),
    actor: { kind: key.id === configuredKeyId ? 'configured_key' : 'admin_key', id: key.id, name: key.name },
    requestId: c.get('requestId'),
    address: addressOf(c, clientAddress),
  }
}
