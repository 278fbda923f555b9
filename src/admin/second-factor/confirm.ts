import { keySchemas } from '#admin/keys/schemas.ts'
import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { createProblem, createThrottled } from '#core/errors.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { stepOf } from './codes.ts'
import { ownKey } from './own-key.ts'
import { secondFactorSchemas } from './schemas.ts'

/** POST /admin/keys/{id}/second-factor/confirm: a code shows that the app has the secret; from now on each login needs one. */
export const confirmSecondFactor: Operation = {
  need: 'any',
  tag: 'Admin keys',
  summary: 'Confirm the second factor of your own key',
  description:
    'From now on the key opens sessions only, each with a code. The key’s other sessions end. 401 for a wrong code, 409 ' +
    'where nothing was begun.',
  request: {
    params: keySchemas.path,
    body: { ...jsonBody(secondFactorSchemas.confirmation), required: true },
  },
  answer: { description: 'The second factor applies', schema: secondFactorSchemas.changed },
  refusals: [...bodyRefusals, 'wrong_code', 'not_found', 'conflict'],
  async handle(c, parts) {
    const body = await readParsed(c, parts, (value) => parseBy(secondFactorSchemas.confirmation, value))
    if (body.kind === 'refused') return body
    const key = ownKey(c)
    if (!key) return refused(createProblem('not_found'))
    const by = byOf(c, parts)
    const { secondFactors } = parts.store
    if (key.secondFactorAt !== undefined) return refused(createProblem('conflict', nothingBegun))
    const attempt = await secondFactors.takeAttempt(key.id, by.now)
    if (attempt.kind === 'locked') return refused(createThrottled(attempt.waitMs, by.now))
    if (attempt.kind === 'unknown' || attempt.factor.isConfirmed)
      return refused(createProblem('conflict', nothingBegun))
    const { secret } = attempt.factor
    const step = await stepOf(attempt.factor, body.value.code, by.now)
    if (step === undefined) return refused(createProblem('wrong_code'))
    const sessionId = c.get('session')?.id
    const confirmed = await secondFactors.confirmSecondFactor(key.id, { secret, step, sessionId }, by)
    return confirmed ? answered({ id: key.id }) : refused(createProblem('conflict', nothingBegun))
  },
}

const nothingBegun = 'No second factor of this key waits for a code.'
