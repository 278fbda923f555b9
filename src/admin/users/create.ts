import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { etagOf } from '#admin/request/etag.ts'
import { idempotencyConflict, idempotencyHeader, readIdempotencyKey } from '#admin/request/idempotency.ts'
import { clear, grantedSightOf } from '#admin/request/token-sight.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem, type Issue } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { toWireIssues } from './input.ts'
import type { UserWire } from './wire.ts'

/** POST /admin/users: a new user with a fresh access token; safe to retry under an `Idempotency-Key`. */
export function createUser(wire: UserWire): Operation {
  const { schemas } = wire
  return {
    need: 'users:write',
    summary: 'Create a new user',
    description:
      'The body may be left out: that is a `normal` user. `temporary` needs a future `expiresAt`. The token is shown in ' +
      'clear, but in a repeated answer only to a key with `tokens:reveal`.',
    request: { headers: idempotencyHeader, body: jsonBody(schemas.edit) },
    answer: { description: 'The created user’s token', schema: schemas.created, hasEtag: true },
    refusals: [...bodyRefusals, 'conflict'],
    async handle(c, parts) {
      const input = await readParsed(c, parts, wire.parseNew)
      if (input.kind === 'refused') return input
      const { edit, ignored } = input.value
      const idempotencyKey = readIdempotencyKey(c, edit)
      if (idempotencyKey.kind === 'refused') return idempotencyKey
      const by = byOf(c, parts)
      const issues = expiryIssues(edit, by.now)
      if (issues.length > 0) return refused(badInput(issues))
      const result = await parts.store.users.insertUser(edit, by, idempotencyKey.value)
      switch (result.kind) {
        case 'invalid':
          return refused(badInput(toWireIssues(result.issues)))
        case 'conflict':
          return refused(createProblem('conflict', idempotencyConflict))
        case 'created': {
          const { user } = result
          c.set('userId', user.id)
          const replayed = result.repeated ? { 'idempotency-replayed': 'true' } : {}
          const headers = { etag: etagOf(user), location: `/admin/users/${user.id}`, ...replayed }
          // Who makes a user has to hand the access token out: it is shown once, also to a key that sees others masked.
          const sight = result.repeated ? grantedSightOf(c) : clear
          return answered({ ...wire.toCreated(user, sight), ...toIgnored(ignored) }, headers)
        }
      }
    },
  }
}

/** A new temporary user needs an expiry in the future; by PUT, which also imports exports, it may lie in the past. */
function expiryIssues({ type, expiresAt }: UserEdit, now: number): readonly Issue[] {
  if (type !== 'temporary' || (typeof expiresAt === 'number' && expiresAt > now)) return []
  return [
    {
      path: 'expiresAt',
      message:
        'a temporary user needs expiresAt, in the future: epoch milliseconds, or a time with its offset such as 2030-01-31T13:00:00Z',
    },
  ]
}
