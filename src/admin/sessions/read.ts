import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { findNamedSession } from './named.ts'
import { sessionSchemas } from './schemas.ts'
import { toSessionAnswer } from './wire.ts'

/** GET /admin/sessions/{id} */
export const readSession: Operation = {
  need: 'any',
  tag: 'Sessions',
  summary: 'Get a session',
  description: '`current` is that of the request’s own cookie, 404 with an admin key.',
  request: { params: sessionSchemas.path },
  answer: { description: 'The session', schema: sessionSchemas.answer },
  refusals: ['not_found'],
  async handle(c, parts) {
    const found = await findNamedSession(c, parts)
    return found
      ? answered(toSessionAnswer(found, c.get('session')?.id))
      : refused(createProblem('not_found'))
  },
}
