import type { Kysely } from 'kysely'
import { createUserText } from '#core/user-text.ts'
import { rememberOpened } from '#core/vault.ts'
import { createKeptLookups } from '#storage/keys/kept-lookups.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UserStore } from '#storage/store/users.ts'
import { addToQuota } from './add-to-quota.ts'
import { applyWritesAsText } from './apply-as-text.ts'
import { applyWrites, importWrites, type UserWriting } from './apply-writes.ts'
import { createBatches } from './batches.ts'
import { type Disable, disable } from './disable.ts'
import { createDraftEditor } from './draft.ts'
import { inTransaction } from './in-transaction.ts'
import { insertUser } from './insert.ts'
import { purgeUsers } from './purge.ts'
import { createUsageReset, type ResetUsers } from './reset-usage.ts'
import { revealToken } from './reveal.ts'
import { rotateToken } from './rotate.ts'

/** Methods of the table behind those of the store. */
interface MoreWrites {
  readonly resetUsers: ResetUsers
  /** As `disableUser` of the store; a user who cannot be read is left to be read by its parts. */
  readonly disable: Disable
}

/** Access tokens that stay opened, since who writes users in bulk writes them again. */
const openedMax = 100_000

/** What all writes of users share. */
export function createUserWriting(parts: Omit<UserWriting, 'editor' | 'kept' | 'toText'>): UserWriting {
  return {
    ...parts,
    vault: rememberOpened(parts.vault, openedMax),
    kept: createKeptLookups(parts.vault),
    editor: createDraftEditor(parts.policy),
    toText: createUserText(parts.policy),
  }
}

/** Writes users: each operation is one transaction, with the rows of its changes; done completely or not at all. */
export function createUserWriter(
  parts: Omit<UserWriting, 'editor' | 'kept' | 'toText'> & { readonly db: Kysely<Schema> },
) {
  const { db } = parts
  const writing = createUserWriting(parts)
  // Those of an import are seldom written again soon, and a million of them would drive out the others.
  const importing: UserWriting = { ...writing, vault: parts.vault }
  return {
    addressWrites: {
      writeUserTexts: (writes, by, isMasked) =>
        inTransaction(db, 'written', (trx) => applyWritesAsText(trx, writing, writes, by, isMasked)),

      writeUsers: (writes, by) =>
        inTransaction(db, 'written', (trx) => applyWrites(trx, writing, writes, by)),

      ...createBatches(db, writing),

      importUsers: (writes, by) =>
        inTransaction(db, 'imported', (trx) => importWrites(trx, importing, writes, by)),

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

      disable: (...args) => db.transaction().execute((trx) => disable(trx, writing, ...args)),
    },
  } satisfies MethodGroups<UserStore & MoreWrites>
}
