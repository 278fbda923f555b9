import type { Transaction } from 'kysely'
import type { By } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, QuotaAdded, QuotaAddition } from '#storage/store/users.ts'
import { applyWrites, onlyUser, type UserWriting } from './apply-writes.ts'
import { loadDraft } from './draft-rows.ts'
import { doOnce } from './idempotency.ts'

interface Asked {
  readonly ref: UserRef
  readonly addition: QuotaAddition
  readonly by: By
  readonly idempotencyKey: IdempotencyKey | undefined
}

/** Adds to what a user may use in this period, or answers what an earlier request with this key was answered. */
export async function addToQuota(
  trx: Transaction<Schema>,
  writing: UserWriting,
  { ref, addition: { family, units }, by, idempotencyKey }: Asked,
): Promise<QuotaAdded> {
  const { editor } = writing
  const { now } = by
  return doOnce(trx, writing, idempotencyKey, now, 'added', async () => {
    const draft = await loadDraft(trx, writing, ref, now)
    if (!draft) return { kind: 'unknown' }
    if (!editor.isLimited(draft, family, now)) return { kind: 'unlimited', type: draft.profile.type }
    const write = { ref, edit: { quotaExtra: { [family]: units } } }
    return onlyUser(await applyWrites(trx, writing, [write], by))
  })
}
