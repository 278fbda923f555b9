import type { Transaction } from 'kysely'
import { createAccessToken, shownPartOf } from '#core/access-token.ts'
import type { By, NewChange } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import { present } from '#lib/present.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, TokenRotated } from '#storage/store/users.ts'
import { toWritten, type UserWriting } from './apply-writes.ts'
import type { Draft } from './draft.ts'
import { loadDraft, saveDrafts } from './draft-rows.ts'
import { doOnce } from './idempotency.ts'
import { keepOldToken } from './old-tokens.ts'

interface Asked {
  readonly ref: UserRef
  /** Until when the present token is accepted as well; undefined: no longer. */
  readonly previousUntil: number | undefined
  readonly by: By
  readonly idempotencyKey: IdempotencyKey | undefined
}

/** Gives a user another access token, or answers what an earlier request with this key was answered. */
export async function rotateToken(
  trx: Transaction<Schema>,
  writing: UserWriting,
  { ref, previousUntil, by, idempotencyKey }: Asked,
): Promise<TokenRotated> {
  const { now } = by
  return doOnce(trx, writing, idempotencyKey, now, 'rotated', async () => {
    const draft = await loadDraft(trx, writing, ref, now)
    if (!draft) return { kind: 'unknown' }
    const { rotated, change } = await replaceToken(trx, writing, draft, previousUntil, by)
    await writing.saveChanges(trx, [change])
    return toWritten(rotated, writing.policy, now)
  })
}

/** Saves another access token for a loaded user. The caller saves the change, as the last thing in its transaction. */
export async function replaceToken(
  trx: Transaction<Schema>,
  writing: Pick<UserWriting, 'many' | 'vault' | 'instance'>,
  draft: Draft,
  previousUntil: number | undefined,
  by: By,
): Promise<{ readonly rotated: Draft; readonly change: NewChange }> {
  await keepOldToken(trx, draft, previousUntil, by.now)
  const accessToken = createAccessToken()
  const rotated = {
    ...{ ...draft, accessToken, revision: draft.revision + 1 },
    tokenHmac: writing.vault.lookupOf(accessToken),
    tokenEncrypted: writing.vault.seal(accessToken, draft.id),
  }
  await saveDrafts(trx, writing, [rotated], by.now)
  const change: NewChange = {
    ...{ by, kind: 'user.token_rotated', object: draft.id },
    before: { accessToken: shownPartOf(draft.accessToken) },
    after: { accessToken: shownPartOf(accessToken), ...present({ previousUntil }) },
  }
  return { rotated, change }
}
