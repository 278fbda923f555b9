import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { etagOf } from '#admin/request/etag.ts'
import { idempotencyConflict, idempotencyHeader, readIdempotencyKey } from '#admin/request/idempotency.ts'
import { grantedSightOf } from '#admin/request/token-sight.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { accessTokenSchemas } from './schemas.ts'
import { parseRotation, toRotated } from './wire.ts'

/** POST /admin/users/{token}/rotate: another access token for the same user; the one before may work on for a while. */
export const rotateAccessToken: Operation = {
  need: 'users:write',
  tag: 'Access tokens',
  summary: 'Give a user another access token',
  description:
    'Id, quotas, limits and history stay. The present token stops working at once, or at `previousUntil`, and what it runs ' +
    'is cut then. One that was rotated before stops at once: a user has at most one old token. Send an `Idempotency-Key`, ' +
    'so that a repeat rotates no second time. An unknown field is an error here.',
  request: {
    params: userPath,
    query: noParameters,
    headers: idempotencyHeader,
    body: jsonBody(accessTokenSchemas.rotation),
  },
  answer: { description: 'The new access token', schema: accessTokenSchemas.rotated, hasEtag: true },
  refusals: [...bodyRefusals, 'not_found', 'conflict'],
  async handle(c, parts) {
    const previousUntil = await readParsed(c, parts, (value) => parseRotation(value, parts.clock()))
    if (previousUntil.kind === 'refused') return previousUntil
    const until = previousUntil.value
    return withNamedUser(c, parts, async ({ id }) => {
      const idempotencyKey = readIdempotencyKey(c, { operation: 'rotateToken', id, until: until ?? null })
      if (idempotencyKey.kind === 'refused') return idempotencyKey
      const by = byOf(c, parts)
      const result = await parts.store.users.rotateToken({ id }, until, by, idempotencyKey.value)
      switch (result.kind) {
        case 'unknown':
          return refused(createProblem('not_found'))
        case 'conflict':
          return refused(createProblem('conflict', idempotencyConflict))
        case 'rotated': {
          const replayed = result.repeated ? { 'idempotency-replayed': 'true' } : {}
          const headers = { etag: etagOf(result.user), ...replayed }
          return answered(toRotated(result.user, until, grantedSightOf(c)), headers)
        }
      }
    })
  },
}
