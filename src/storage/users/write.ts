import type { Kysely, Transaction } from 'kysely'
import { createUserText } from '#core/user-text.ts'
import { rememberOpened } from '#core/vault.ts'
import { noteStep } from '#storage/bulk/table.ts'
import { createKeptLookups } from '#storage/keys/kept-lookups.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UserStore } from '#storage/store/users.ts'
import { addToQuota } from './add-to-quota.ts'
import { applyWritesAsText } from './apply-as-text.ts'
import { applyWrites, type UserWriting } from './apply-writes.ts'
import { type DisableRow, disableRow } from './disable.ts'
import { createDraftEditor } from './draft.ts'
import { insertUser } from './insert.ts'
import { purgeUsers } from './purge.ts'
import { createUsageReset, type ResetUsers } from './reset-usage.ts'
import { revealToken } from './reveal.ts'
import { rotateToken } from './rotate.ts'

/** Methods of the table behind those of the store. */
interface MoreWrites {
  readonly resetUsers: ResetUsers
  /** As `disableUser` of the store; answers the id. */
  readonly disableRow: DisableRow
}

/** Access tokens that stay opened, since who writes users in bulk writes them again. */
const openedMax = 100_000

/** Writes users: each operation is one transaction, with the rows of its changes; done completely or not at all. */
export function createUserWriter(
  parts: Omit<UserWriting, 'editor' | 'kept' | 'toText'> & { readonly db: Kysely<Schema> },
) {
  const { db } = parts
  const writing: UserWriting = {
    ...parts,
    vault: rememberOpened(parts.vault, openedMax),
    kept: createKeptLookups(parts.vault),
    editor: createDraftEditor(parts.policy),
    toText: createUserText(parts.policy),
  }
  return {
    addressWrites: {
      writeUserTexts: (writes, by, isMasked) =>
        inTransaction(db, 'written', (trx) => applyWritesAsText(trx, writing, writes, by, isMasked)),

      writeUsers: (writes, by, step) =>
        inTransaction(db, 'written', async (trx) => {
          const result = await applyWrites(trx, writing, writes, by)
          if (step && result.kind === 'written') await noteStep(trx, writing.many, step, by.now)
          return result
        }),

      purgeUsers: (ids, by) => inTransaction(db, 'purged', (trx) => purgeUsers(trx, writing, ids, by)),
    },
    writes: {
      insertUser: (edit, by, idempotencyKey) =>
        inTransaction(db, 'created', (trx) => insertUser(trx, writing, edit, by, idempotencyKey)),

      addToQuota: (ref, addition, by, idempotencyKey) =>
        inTransaction(db, 'added', (trx) => addToQuota(trx, writing, { ref, addition, by, idempotencyKey })),

      revealToken: (ref, by) => inTransaction(db, 'revealed', (trx) => revealToken(trx, writing, ref, by)),

      rotateToken: (ref, previousUntil, by, idempotencyKey) =>
        inTransaction(db, 'rotated', (trx) =>
          rotateToken(trx, writing, { ref, previousUntil, by, idempotencyKey }),
        ),

      resetUsers: createUsageReset(db, writing),

      disableRow: (...args) => db.transaction().execute((trx) => disableRow(trx, writing, ...args)),
    },
  } satisfies MethodGroups<UserStore & MoreWrites>
}

/** Runs in a transaction, and rolls back where the result is of another kind than `kept`. */
async function inTransaction<Result extends { readonly kind: string }>(
  db: Kysely<Schema>,
  kept: Result['kind'],
  work: (trx: Transaction<Schema>) => Promise<Result>,
): Promise<Result> {
  const trx = await db.startTransaction().execute()
  try {
    const result = await work(trx)
    await (result.kind === kept ? trx.commit() : trx.rollback()).execute()
    return result
  } catch (error) {
    await trx.rollback().execute()
    throw error
  }
}
