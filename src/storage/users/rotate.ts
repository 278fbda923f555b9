import type { Transaction } from 'kysely'
import { createAccessToken, shownPartOf } from '#core/access-token.ts'
import type { By, NewChange } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import { present } from '#lib/present.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, TokenRotated } from '#storage/store/users.ts'
import { toWritten, type UserWriting } from './apply-writes.ts'
import { draftKeyOf, loadDrafts, saveDrafts } from './draft-rows.ts'
import { findAnswer, keepAnswer } from './idempotency.ts'
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
  const { vault, policy } = writing
  const { now } = by
  const before = idempotencyKey && (await findAnswer(trx, writing, idempotencyKey, now))
  if (before?.kind === 'other') return { kind: 'conflict' }
  if (before) return { kind: 'rotated', user: before.user, repeated: true }
  const key = draftKeyOf(ref, vault)
  const draft = (await loadDrafts(trx, writing, [ref], [key], now)).get(key)
  if (!draft) return { kind: 'unknown' }
  await keepOldToken(trx, draft, previousUntil, now)
  const accessToken = createAccessToken()
  const rotated = {
    ...{ ...draft, accessToken, revision: draft.revision + 1 },
    tokenHmac: vault.lookupOf(accessToken),
    tokenEncrypted: vault.seal(accessToken, draft.id),
  }
  await saveDrafts(trx, writing, [rotated], now)
  const change: NewChange = {
    ...{ by, kind: 'user.token_rotated', object: draft.id },
    before: { accessToken: shownPartOf(draft.accessToken) },
    after: { accessToken: shownPartOf(accessToken), ...present({ previousUntil }) },
  }
  await writing.saveChanges(trx, [change])
  const user = toWritten(rotated, policy, now)
  if (idempotencyKey) await keepAnswer(trx, vault, idempotencyKey, user, now)
  return { kind: 'rotated', user, repeated: false }
}
