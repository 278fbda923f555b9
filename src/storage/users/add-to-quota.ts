import type { Transaction } from 'kysely'
import type { By } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey, QuotaAdded, QuotaAddition } from '#storage/store/users.ts'
import { applyWrites, type UserWriting } from './apply-writes.ts'
import { draftKeyOf, loadDrafts } from './draft-rows.ts'
import { findAnswer, keepAnswer } from './idempotency.ts'

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
  const { vault, editor } = writing
  const { now } = by
  const before = idempotencyKey && (await findAnswer(trx, writing, idempotencyKey, now))
  if (before?.kind === 'other') return { kind: 'conflict' }
  if (before) return { kind: 'added', user: before.user, repeated: true }
  const key = draftKeyOf(ref, vault)
  const draft = (await loadDrafts(trx, writing, [ref], [key], now)).get(key)
  if (!draft) return { kind: 'unknown' }
  if (!editor.isLimited(draft, family, now)) return { kind: 'unlimited', type: draft.profile.type }
  const write = { ref, edit: { quotaExtra: { [family]: units } } }
  const result = await applyWrites(trx, writing, [write], by)
  if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
  const user = result.kind === 'written' ? result.users[0] : undefined
  if (!user) throw new Error(`a known user was not written but ${result.kind}`)
  if (idempotencyKey) await keepAnswer(trx, vault, idempotencyKey, user, now)
  return { kind: 'added', user, repeated: false }
}
