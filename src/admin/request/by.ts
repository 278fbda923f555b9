import { configuredKeyId } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import type { AdminContext, AdminParts } from './context.ts'
import { addressOf } from './trace.ts'

/** Who asks for a change, and when: the admin key of the request, or the session that stands for it. */
export function byOf(c: AdminContext, { clock, clientAddress }: AdminParts): By {
  const key = c.get('adminKey')
  // `authenticate` lets no request without a key pass.
  if (!key) throw new Error('a change without an admin key')
  const session = c.get('session')
  const kind = key.id === configuredKeyId ? 'configured_key' : 'admin_key'
  return {
    now: clock(),
    actor: session
      ? { kind: 'session', id: session.id, name: key.name }
      : { kind, id: key.id, name: key.name },
    requestId: c.get('requestId'),
    address: addressOf(c, clientAddress),
  }
}
