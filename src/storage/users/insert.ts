import type { Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import type { By } from '#core/change.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, UserCreated } from '#storage/store/users.ts'
import { applyWrites, type UserWriting } from './apply-writes.ts'
import { findAnswer, keepAnswer } from './idempotency.ts'

/** Creates a user with a fresh access token, or answers the user that an earlier request with this key created. */
export async function insertUser(
  trx: Transaction<Schema>,
  writing: UserWriting,
  edit: UserEdit,
  by: By,
  idempotencyKey: IdempotencyKey | undefined,
): Promise<UserCreated> {
  const { vault } = writing
  const { now } = by
  const before = idempotencyKey && (await findAnswer(trx, writing, idempotencyKey, now))
  if (before?.kind === 'other') return { kind: 'conflict' }
  if (before) return { kind: 'created', user: before.user, repeated: true }
  const write = { ref: { accessToken: createAccessToken() }, edit }
  const result = await applyWrites(trx, writing, [write], by)
  if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
  const user = result.kind === 'written' ? result.users[0] : undefined
  if (!user) throw new Error(`a new user was not written but ${result.kind}`)
  if (idempotencyKey) await keepAnswer(trx, vault, idempotencyKey, user, now)
  return { kind: 'created', user, repeated: false }
}
