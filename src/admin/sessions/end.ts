import { excessProblem, ownBounds } from '#admin/keys/bounds.ts'
import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import { endedCookie } from '#admin/request/session-cookie.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { findNamedSession } from './named.ts'
import { sessionSchemas } from './schemas.ts'

/** DELETE /admin/sessions/{id}: logs out, or ends the session of a browser elsewhere. */
export const endSession: Operation = {
  need: 'any',
  tag: 'Sessions',
  summary: 'End a session',
  description:
    'At once: `current` logs out. A session of a key with a scope that yours lacks is 403, and one that yours may not ' +
    'see is 404.',
  request: { params: sessionSchemas.path },
  answer: { description: 'The session has ended', schema: sessionSchemas.ended },
  refusals: ['not_found'],
  async handle(c, parts) {
    const found = await findNamedSession(c, parts)
    if (!found) return refused(createProblem('not_found'))
    const { session, key } = found
    const excess = excessProblem({ scopes: ownBounds(c).scopes }, key)
    if (excess) return refused(excess)
    await parts.store.sessions.deleteSession(session.id, byOf(c, parts))
    const isOwn = session.id === c.get('session')?.id
    return answered({ id: session.id }, isOwn ? { 'set-cookie': endedCookie(c, parts.clientAddress) } : {})
  },
}
