import type { Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import type { By } from '#core/change.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, UserCreated } from '#storage/store/users.ts'
import { applyWrites, onlyUser, type UserWriting } from './apply-writes.ts'
import { doOnce } from './idempotency.ts'

/** Creates a user with a fresh access token, or answers the user that an earlier request with this key created. */
export async function insertUser(
  trx: Transaction<Schema>,
  writing: UserWriting,
  edit: UserEdit,
  by: By,
  idempotencyKey: IdempotencyKey | undefined,
): Promise<UserCreated> {
  return doOnce(trx, writing, idempotencyKey, by.now, 'created', async () => {
    const write = { ref: { accessToken: createAccessToken() }, edit }
    return onlyUser(await applyWrites(trx, writing, [write], by))
  })
}
