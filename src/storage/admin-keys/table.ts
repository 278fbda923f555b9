import type { Kysely } from 'kysely'
import { type AdminKey, isLiveKey } from '#core/admin-key.ts'
import type { By, ChangeFields } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import { present } from '#lib/present.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { AdminKeyStore } from '#storage/store.ts'
import { createKeyFinder } from './find.ts'
import { toAdminKey, toListedKey } from './rows.ts'

/** Admin keys are stored as keyed hashes only: a lost one is replaced, and can never be shown again. */
export function createAdminKeyTable(db: Kysely<Schema>, vault: Vault, saveChanges: SaveChanges) {
  const finder = createKeyFinder(vault, 'admin')
  const { hmacOf } = finder

  return {
    reads: {
      async findAdminKey(secret, now) {
        const found = await finder.bySecret(db, secret, now)
        const key = found && toListedKey(found.row)
        return key && isLiveKey(key, now) ? key : undefined
      },

      async countAdminKeys() {
        const row = await db
          .selectFrom('admin_keys')
          .select((e) => e.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
        return Number(row.count)
      },

      listAdminKeys: () => listKeys(db),
    },
    writes: {
      async insertAdminKey(key, by) {
        const { now } = by
        const row = {
          id: createSortableId('adk_', now),
          name: key.name,
          key_hmac: hmacOf(key.secret),
          scopes: key.scopes.join(' '),
          created_at: now,
          expires_at: key.expiresAt ?? null,
          allowed_networks: key.allowedNetworks ? JSON.stringify(key.allowedNetworks) : null,
          last_used_at: null,
          rotated_at: null,
          previous_hmac: null,
          previous_until: null,
          second_factor_at: null,
        }
        // Parsed before it is written, so that no row is stored that a later read refuses.
        const made = toAdminKey(row)
        await db.transaction().execute(async (trx) => {
          await trx.insertInto('admin_keys').values(row).execute()
          await saveChanges(trx, [{ by, kind: 'admin_key.created', object: made.id, after: fieldsOf(made) }])
        })
        return made
      },

      rotateAdminKey: (id, { secret, previousUntil }, by) =>
        db.transaction().execute(async (trx) => {
          const { now } = by
          const query = trx.selectFrom('admin_keys').selectAll().where('id', '=', id)
          const row = await query.forUpdate().executeTakeFirst()
          if (!row) return 'unknown'
          const overlaps = previousUntil !== undefined && previousUntil > now
          const changed = {
            key_hmac: hmacOf(secret),
            rotated_at: now,
            previous_hmac: overlaps ? row.key_hmac : null,
            previous_until: overlaps ? previousUntil : null,
          }
          const rotated = toAdminKey({ ...row, ...changed })
          await trx.updateTable('admin_keys').set(changed).where('id', '=', id).execute()
          const after = { previousUntil: rotated.previousUntil ?? null }
          await saveChanges(trx, [{ by, kind: 'admin_key.rotated', object: id, after }])
          return rotated
        }),

      noteAdminKeyUse: (uses) => noteUse(db, uses),
      deleteAdminKey: (id, by, { mayBeLast } = { mayBeLast: false }) =>
        deleteKey(db, saveChanges, { id, by, mayBeLast }),
    },
  } satisfies MethodGroups<AdminKeyStore>
}

function noteUse(db: Kysely<Schema>, uses: Parameters<AdminKeyStore['noteAdminKeyUse']>[0]): Promise<void> {
  return db.transaction().execute(async (trx) => {
    // In one order, so that two processes do not wait for each other.
    for (const { id, at } of uses.toSorted((one, other) => (one.id < other.id ? -1 : 1)))
      await trx
        .updateTable('admin_keys')
        .set({ last_used_at: at })
        .where('id', '=', id)
        .where((e) => e.or([e('last_used_at', 'is', null), e('last_used_at', '<', at)]))
        .execute()
  })
}

/** Looks and deletes in one transaction, so that two deletions at once cannot remove the last two keys. */
function deleteKey(
  db: Kysely<Schema>,
  saveChanges: SaveChanges,
  { id, by, mayBeLast }: { readonly id: string; readonly by: By; readonly mayBeLast: boolean },
): ReturnType<AdminKeyStore['deleteAdminKey']> {
  return db.transaction().execute(async (trx) => {
    const { now } = by
    const keys = await listKeys(trx, { areLocked: true })
    const key = keys.find((each) => each.id === id)
    if (!key) return 'unknown'
    const others = keys.filter((each) => each !== key)
    if (!mayBeLast && mayAdminister(key, now) && !others.some((each) => mayAdminister(each, now)))
      return 'last'
    await trx.deleteFrom('admin_keys').where('id', '=', id).execute()
    await trx.deleteFrom('second_factors').where('id', '=', id).execute()
    await saveChanges(trx, [{ by, kind: 'admin_key.deleted', object: id, before: fieldsOf(key) }])
    return 'deleted'
  })
}

/** What a change tells of a key. */
function fieldsOf({ name, scopes, expiresAt, allowedNetworks }: AdminKey): ChangeFields {
  return { name, scopes, ...present({ expiresAt, allowedNetworks }) }
}

async function listKeys(
  db: Kysely<Schema>,
  { areLocked } = { areLocked: false },
): Promise<readonly AdminKey[]> {
  const query = db.selectFrom('admin_keys').selectAll().orderBy('created_at').orderBy('id')
  const rows = await (areLocked ? query.forUpdate() : query).execute()
  return rows.map(toListedKey)
}

function mayAdminister(key: AdminKey, now: number): boolean {
  return isLiveKey(key, now) && key.scopes.includes('admin')
}
