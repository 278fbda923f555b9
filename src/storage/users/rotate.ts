import type { Transaction } from 'kysely'
import { createAccessToken, shownPartOf } from '#core/access-token.ts'
import type { By, NewChange } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Vault } from '#core/vault.ts'
import { present } from '#lib/present.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, TokenRotated } from '#storage/store/users.ts'
import { toWritten, type UserWriting } from './apply-writes.ts'
import type { Draft } from './draft.ts'
import { loadDraft, saveDrafts } from './draft-rows.ts'
import { doOnce } from './idempotency.ts'
import { keepOldTokens } from './old-tokens.ts'

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
    const { rotated, changes } = await replaceTokens(trx, writing, [draft], previousUntil, by)
    await writing.saveChanges(trx, changes)
    return toWritten(rotated[0] ?? draft, writing.policy, now)
  })
}

/** Saves other access tokens for loaded users. The caller saves the changes, as the last thing in its transaction. */
export async function replaceTokens(
  trx: Transaction<Schema>,
  writing: Pick<UserWriting, 'many' | 'vault' | 'instance'>,
  drafts: readonly Draft[],
  previousUntil: number | undefined,
  by: By,
): Promise<{ readonly rotated: readonly Draft[]; readonly changes: readonly NewChange[] }> {
  await keepOldTokens(trx, writing, drafts, previousUntil, by.now)
  const replaced = drafts.map((draft) => replacing(draft, writing.vault))
  const rotated = replaced.map(({ after }) => after)
  await saveDrafts(trx, writing, rotated, by.now)
  const changes = replaced.map(
    ({ before, after }): NewChange => ({
      ...{ by, kind: 'user.token_rotated', object: after.id },
      before: { accessToken: shownPartOf(before.accessToken) },
      after: { accessToken: shownPartOf(after.accessToken), ...present({ previousUntil }) },
    }),
  )
  return { rotated, changes }
}

function replacing(before: Draft, vault: Vault): { readonly before: Draft; readonly after: Draft } {
  const accessToken = createAccessToken()
  const after: Draft = {
    ...{ ...before, accessToken, revision: before.revision + 1 },
    tokenHmac: vault.lookupOf(accessToken),
    tokenEncrypted: vault.seal(accessToken, before.id),
  }
  return { before, after }
}
