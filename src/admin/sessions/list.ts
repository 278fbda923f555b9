import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { visibleSessions } from './named.ts'
import { sessionSchemas } from './schemas.ts'
import { toSessionAnswer } from './wire.ts'

/** GET /admin/sessions: who is logged in. */
export const listSessions: Operation = {
  need: 'any',
  tag: 'Sessions',
  summary: 'List the sessions',
  description: 'Oldest first: those of the same key, and with `keys:write` those of every key.',
  answer: { description: 'The sessions', schema: sessionSchemas.list },
  refusals: [],
  async handle(c, parts) {
    const sessions = await visibleSessions(c, parts)
    const current = c.get('session')?.id
    return answered({
      sessions: sessions.map((each) => toSessionAnswer(each, current)),
      count: sessions.length,
    })
  },
}
