import { timingSafeEqual } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type AdminKey, type Scope, scopes } from '#core/admin-key.ts'
import type { Vault } from '#core/vault.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, isDamage, text } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/** Admin keys are stored as keyed hashes only: a lost one is replaced, and can never be shown again. */
export function createAdminKeyTable(db: Kysely<Schema>, vault: Vault) {
  return {
    reads: {
      async findAdminKey(secret, now) {
        const lookup = vault.lookupOf(`admin ${secret}`)
        const row = await db
          .selectFrom('admin_keys')
          .selectAll()
          .where('key_hmac', '=', lookup)
          .executeTakeFirst()
        // The index compared keyed hashes, which tell a guesser nothing; this comparison is constant in time whatever
        // the index does.
        if (!row || !timingSafeEqual(Buffer.from(row.key_hmac), Buffer.from(lookup))) return undefined
        const key = toAdminKey(row)
        return isLive(key, now) ? key : undefined
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
      async insertAdminKey(key, now) {
        const row = {
          id: createSortableId('adk_', now),
          name: key.name,
          key_hmac: vault.lookupOf(`admin ${key.secret}`),
          scopes: key.scopes.join(' '),
          created_at: now,
          expires_at: key.expiresAt ?? null,
        }
        // Parsed before it is written, so that no row is stored that a later read refuses.
        const made = toAdminKey(row)
        await db.insertInto('admin_keys').values(row).execute()
        return made
      },

      deleteAdminKey: (id, now, { mayBeLast } = { mayBeLast: false }) =>
        // One transaction looks and deletes, so that two deletions at once cannot remove the last two keys.
        db.transaction().execute(async (trx) => {
          const keys = await listKeys(trx, { areLocked: true })
          const key = keys.find((each) => each.id === id)
          if (!key) return 'unknown'
          const others = keys.filter((each) => each !== key)
          if (!mayBeLast && mayAdminister(key, now) && !others.some((each) => mayAdminister(each, now)))
            return 'last'
          await trx.deleteFrom('admin_keys').where('id', '=', id).execute()
          return 'deleted'
        }),
    },
  } satisfies MethodGroups<AdminKeyStore>
}

async function listKeys(
  db: Kysely<Schema>,
  { areLocked } = { areLocked: false },
): Promise<readonly AdminKey[]> {
  const query = db.selectFrom('admin_keys').selectAll().orderBy('created_at').orderBy('id')
  const rows = await (areLocked ? query.forUpdate() : query).execute()
  return rows.map(toListedKey)
}

function isLive({ expiresAt }: AdminKey, now: number): boolean {
  return expiresAt === undefined || expiresAt > now
}

function mayAdminister(key: AdminKey, now: number): boolean {
  return isLive(key, now) && key.scopes.includes('admin')
}

/** A damaged key is listed too: it has to be found to be deleted. */
function toListedKey(row: Schema['admin_keys']): AdminKey {
  try {
    return toAdminKey(row)
  } catch (error) {
    if (!isDamage(error)) throw error
    const [name, createdAt] = [unlessDamaged(row.name, text), unlessDamaged(row.created_at, integer)]
    return { id: row.id, name: name ?? '', createdAt: createdAt ?? 0, scopes: [], isDamaged: true }
  }
}

function unlessDamaged<Value>(value: unknown, read: (value: unknown) => Value): Value | undefined {
  try {
    return read(value)
  } catch {
    return undefined
  }
}

function toAdminKey(row: Schema['admin_keys']): AdminKey {
  return {
    id: row.id,
    name: text(row.name),
    createdAt: integer(row.created_at),
    scopes: text(row.scopes).split(' ').map(parseScope),
    ...(row.expires_at !== null && { expiresAt: integer(row.expires_at) }),
  }
}

/** Throws for an unknown scope: a key must never allow more than it was made for. */
function parseScope(text: string): Scope {
  const scope = scopes.find((each) => each === text)
  if (scope === undefined)
    throw new TypeError(`an admin key is stored with the scope ${JSON.stringify(text)}`)
  return scope
}
