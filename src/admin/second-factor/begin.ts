import { configuredKey } from '#admin/keys/named.ts'
import { keySchemas } from '#admin/keys/schemas.ts'
import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { configuredKeyId } from '#core/admin-key.ts'
import { createProblem } from '#core/errors.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { allows } from '#core/scopes.ts'
import { createAppSecret, createRecoveryCodes } from './codes.ts'
import { ownKey } from './own-key.ts'
import { secondFactorSchemas } from './schemas.ts'

/** POST /admin/keys/{id}/second-factor: what an authenticator app is given; it applies once a code has confirmed it. */
export const beginSecondFactor: Operation = {
  need: 'any',
  tag: 'Admin keys',
  summary: 'Set up a second factor for your own key',
  description:
    'Shows once what an authenticator app is given (RFC 6238), and ten recovery codes. It applies from its confirmation on: ' +
    'then the key opens sessions only, each with a code. 409 where the key has one, is the configured one, or is for other ' +
    'gateways as well, which cannot enter codes.',
  request: { params: keySchemas.path, body: jsonBody(secondFactorSchemas.none) },
  answer: { description: 'What the app is given', schema: secondFactorSchemas.begun },
  refusals: [...bodyRefusals, 'not_found', 'conflict'],
  async handle(c, parts) {
    const body = await readParsed(c, parts, (value) => parseBy(secondFactorSchemas.none, value))
    if (body.kind === 'refused') return body
    const key = ownKey(c)
    if (!key) return refused(createProblem('not_found'))
    if (key.id === configuredKeyId) return refused(createProblem('conflict', configuredKey))
    if (allows(key.scopes, 'verify') || allows(key.scopes, 'usage:write'))
      return refused(createProblem('conflict', forGateways))
    const app = createAppSecret(key.name)
    const recoveryCodes = createRecoveryCodes()
    const { secondFactors } = parts.store
    switch (
      await secondFactors.beginSecondFactor(key.id, { secret: app.secret, recoveryCodes }, byOf(c, parts))
    ) {
      case 'begun':
        return answered({ ...app, recoveryCodes })
      case 'confirmed':
        return refused(createProblem('conflict', hasOne))
      case 'unknown':
        return refused(createProblem('not_found'))
    }
  },
}

const forGateways =
  'This key is for other gateways as well, which cannot enter codes: make one for the admin API alone.'
const hasOne = 'This key has a second factor: remove it first.'
