import type { Transaction } from 'kysely'
import type { By } from '#core/change.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { TokenRevealed } from '#storage/store/users.ts'
import { toWritten, type UserWriting } from './apply-writes.ts'
import { loadDraft } from './draft-rows.ts'

/** Reads a user's access token to show it, and writes down who asked for it, in one transaction. */
export async function revealToken(
  trx: Transaction<Schema>,
  writing: UserWriting,
  ref: UserRef,
  by: By,
): Promise<TokenRevealed> {
  const draft = await loadDraft(trx, writing, ref, by.now)
  if (!draft) return { kind: 'unknown' }
  await writing.saveChanges(trx, [{ by, kind: 'user.token_revealed', object: draft.id }])
  return { kind: 'revealed', user: toWritten(draft, writing.policy, by.now) }
}
