import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { keySchemas } from './schemas.ts'
import { toKey } from './wire.ts'

/** GET /admin/keys: all keys, oldest first; expired keys are shown until they are deleted. */
export const listKeys: Operation = {
  need: 'keys:write',
  tag: 'Admin keys',
  summary: 'List the admin keys',
  description: 'All keys, including expired ones, and the configured one as `adk_environment`.',
  answer: { description: 'The keys, without their secrets', schema: keySchemas.list },
  refusals: [],
  async handle(c, { store, log }) {
    const keys = await store.adminKeys.listAdminKeys()
    const unreadable = keys.flatMap(({ id, isDamaged }) => (isDamaged ? [id] : []))
    if (unreadable.length > 0)
      log.error({ requestId: c.get('requestId'), unreadable }, 'admin keys whose rows cannot be read')
    return answered({ keys: keys.map(toKey), count: keys.length })
  },
}
