import type { Kysely, Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import type { Policy } from '#core/admission.ts'
import { editProfile } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Vault } from '#core/vault.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type {
  IdempotencyKey,
  QuotaAdded,
  QuotaAddition,
  UserCreated,
  UserStore,
  UsersWritten,
  UserWrite,
} from '#storage/store.ts'
import { createDraftEditor, type Draft } from './draft.ts'
import { draftKeyOf, loadDrafts, newDraft, saveDrafts, usersAtOnce } from './draft-rows.ts'
import { findAnswer, keepAnswer } from './idempotency.ts'
import { chunksOf } from './quota-changes.ts'
import { usersOf } from './read.ts'
import { countUsedSince } from './recount.ts'
import { createUsageReset, type ResetUsers } from './reset-usage.ts'
import type { StoredUser } from './rows.ts'

/** Methods of the table behind those of the store. */
interface MoreWrites {
  readonly resetUsers: ResetUsers
  /** As `disableUser` of the store; answers the id. */
  readonly disableRow: (ref: UserRef, reason: string | undefined, now: number) => Promise<string | undefined>
}

/**
 * Writes users: each operation is one transaction, done completely or not at all.
 *
 * @param announce tells other processes about changed users when the transaction commits
 */
export function createUserWriter(
  db: Kysely<Schema>,
  vault: Vault,
  policy: Policy,
  instance: string,
  announce?: (trx: Transaction<Schema>, ids: readonly string[]) => Promise<void>,
) {
  const editor = createDraftEditor(policy, instance)

  async function write(
    trx: Transaction<Schema>,
    writes: readonly UserWrite[],
    now: number,
  ): Promise<UsersWritten> {
    const refs = writes.map(({ ref }) => ref)
    const drafts = await loadDrafts(trx, vault, refs)
    const touched = new Set<Draft>()
    const order: Draft[] = []
    for (const [index, { ref, edit, expectedRevision }] of writes.entries()) {
      const key = draftKeyOf(ref, vault)
      const known = drafts.get(key)
      if (!known && 'id' in ref) return { kind: 'unknown', index }
      if (
        expectedRevision !== undefined &&
        (!known || (expectedRevision !== 'any' && known.revision !== expectedRevision))
      ) {
        return { kind: 'stale', index }
      }
      const edited = editProfile(known?.profile, edit, now)
      if (edited.kind === 'invalid') return { kind: 'invalid', index, issues: edited.issues }
      const { profile } = edited
      const draft = known ?? newDraft(ref, profile, vault, now)
      drafts.set(key, draft)
      drafts.set(draft.id, draft)
      if (known)
        await editor.recountIfPeriodChanged(known, profile, now, (id, family, startAt) =>
          countUsedSince(trx, id, family, startAt),
        )
      const issues = editor.applyEdit(draft, edit, profile, now, touched.has(draft))
      if (issues.length > 0) return { kind: 'invalid', index, issues }
      touched.add(draft)
      order.push(draft)
    }
    await saveDrafts(trx, [...touched], now)
    const known = [...touched].flatMap(({ id, isNew }) => (isNew ? [] : [id]))
    if (known.length > 0) await announce?.(trx, known)
    const rows = await rowsById(
      trx,
      [...touched].map((draft) => draft.id),
    )
    const users = await usersOf(trx, rows, { vault, policy, now })
    const byId = new Map(users.map((user) => [user.id, user]))
    return { kind: 'written', users: order.flatMap((draft) => byId.get(draft.id) ?? []) }
  }

  async function add(
    trx: Transaction<Schema>,
    ref: UserRef,
    { family, units }: QuotaAddition,
    now: number,
    idempotencyKey: IdempotencyKey | undefined,
  ): Promise<QuotaAdded> {
    const before = idempotencyKey && (await findAnswer(trx, vault, idempotencyKey, now))
    if (before?.kind === 'other') return { kind: 'conflict' }
    if (before) return { kind: 'added', user: before.user, repeated: true }
    const draft = (await loadDrafts(trx, vault, [ref])).get(draftKeyOf(ref, vault))
    if (!draft) return { kind: 'unknown' }
    if (!editor.isLimited(draft, family, now)) return { kind: 'unlimited', type: draft.profile.type }
    const result = await write(trx, [{ ref, edit: { quotaExtra: { [family]: units } } }], now)
    if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
    const user = result.kind === 'written' ? result.users[0] : undefined
    if (!user) throw new Error(`a known user was not written but ${result.kind}`)
    if (idempotencyKey) await keepAnswer(trx, vault, idempotencyKey, user, now)
    return { kind: 'added', user, repeated: false }
  }

  return {
    addressWrites: {
      writeUsers: (writes, now) =>
        inTransaction(
          db,
          (trx) => write(trx, writes, now),
          (result) => result.kind === 'written',
        ),
    },
    writes: {
      insertUser: (edit, now, idempotencyKey) =>
        inTransaction<UserCreated>(
          db,
          async (trx) => {
            const before = idempotencyKey && (await findAnswer(trx, vault, idempotencyKey, now))
            if (before?.kind === 'other') return { kind: 'conflict' }
            if (before) return { kind: 'created', user: before.user, repeated: true }
            const result = await write(trx, [{ ref: { accessToken: createAccessToken() }, edit }], now)
            if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
            const user = result.kind === 'written' ? result.users[0] : undefined
            if (!user) throw new Error(`a new user was not written but ${result.kind}`)
            if (idempotencyKey) await keepAnswer(trx, vault, idempotencyKey, user, now)
            return { kind: 'created', user, repeated: false }
          },
          (result) => result.kind === 'created',
        ),

      addToQuota: (ref, addition, now, idempotencyKey) =>
        inTransaction(
          db,
          (trx) => add(trx, ref, addition, now, idempotencyKey),
          (result) => result.kind === 'added',
        ),

      resetUsers: createUsageReset(db, policy, instance),

      disableRow: (ref, reason, now) =>
        db.transaction().execute(async (trx) => {
          // By these columns alone: a user must be disabled also where another column cannot be read.
          const row = await trx
            .updateTable('users')
            .set((e) => ({
              disabled_at: e.case().when('disabled_at', '<=', now).then(e.ref('disabled_at')).else(now).end(),
              ...(reason !== undefined && { disabled_reason: reason }),
              revision: e('revision', '+', 1),
            }))
            .where('id' in ref ? 'id' : 'lookup', '=', draftKeyOf(ref, vault))
            .returning('id')
            .executeTakeFirst()
          if (row) await announce?.(trx, [row.id])
          return row?.id
        }),
    },
  } satisfies MethodGroups<UserStore & MoreWrites>
}

/** Runs in a transaction, and rolls back where the result says that nothing may be changed. */
async function inTransaction<T>(
  db: Kysely<Schema>,
  work: (trx: Transaction<Schema>) => Promise<T>,
  keeps: (result: T) => boolean,
): Promise<T> {
  const trx = await db.startTransaction().execute()
  try {
    const result = await work(trx)
    await (keeps(result) ? trx.commit() : trx.rollback()).execute()
    return result
  } catch (error) {
    await trx.rollback().execute()
    throw error
  }
}

async function rowsById(trx: Transaction<Schema>, ids: readonly string[]): Promise<readonly StoredUser[]> {
  const rows: StoredUser[] = []
  for (const chunk of chunksOf(ids, usersAtOnce)) {
    rows.push(...(await trx.selectFrom('users').selectAll().where('id', 'in', chunk).execute()))
  }
  return rows
}
