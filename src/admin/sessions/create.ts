import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { checkSecondFactor } from '#admin/second-factor/check.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { bearerOf } from '#http/credential.ts'
import { beginSession } from './begin.ts'
import { sessionSchemas } from './schemas.ts'
import { toSessionAnswer } from './wire.ts'

/**
 * POST /admin/sessions: a browser logs in with an admin key. A session that the browser had before ends, so that no
 * session is carried over a login.
 */
export const createSession: Operation = {
  need: 'any',
  credential: 'key',
  tag: 'Sessions',
  summary: 'Log in with an admin key',
  description:
    'For browsers: the answer sets a cookie that no script can read, and that stands for the key from then on. The session ' +
    'ends after 12 hours, after 30 minutes without a request (settings may say otherwise), and with the secret that opened it.',
  request: { query: noParameters, body: jsonBody(sessionSchemas.input) },
  answer: { description: 'The session', schema: sessionSchemas.answer },
  refusals: [...bodyRefusals, 'code_needed', 'wrong_code'],
  async handle(c, parts) {
    const body = await readParsed(c, parts, (value) => parseBy(sessionSchemas.input, value))
    if (body.kind === 'refused') return body
    const key = c.get('adminKey')
    const openedBy = bearerOf(c.req.header('authorization'))
    if (!key || openedBy === undefined) throw new Error('a login without an admin key has passed the guard')
    const by = byOf(c, parts)
    const problem = await checkSecondFactor(key, body.value.code, parts, by)
    if (problem) return refused(problem)
    const isCoded = key.secondFactorAt !== undefined
    const opener = { openedBy, keyId: key.id, expiresAt: key.expiresAt, isCoded }
    const { session, cookie } = await beginSession(c, parts, opener, by)
    return answered(toSessionAnswer({ session, key }, session.id), { 'set-cookie': cookie })
  },
}
