import { timingSafeEqual } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Vault } from '#core/vault.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { Schema } from './schema.ts'
import type { AdminKey, AdminKeyStore } from './store.ts'

/** Admin keys are kept as keyed hashes only: one that was lost is replaced, never shown again. */
export function createAdminKeyTable(db: Kysely<Schema>, vault: Vault): AdminKeyStore {
  return {
    async findAdminKey(secret, now) {
      const lookup = vault.lookupOf(`admin ${secret}`)
      const row = await db
        .selectFrom('admin_keys')
        .selectAll()
        .where('lookup', '=', lookup)
        .executeTakeFirst()
      // The index compared a keyed hash, which tells a guesser nothing; this holds whatever an index does.
      if (!row || !timingSafeEqual(Buffer.from(row.lookup), Buffer.from(lookup))) return undefined
      if (row.expires_at !== null && row.expires_at <= now) return undefined
      return toAdminKey(row)
    },

    async countAdminKeys() {
      const row = await db
        .selectFrom('admin_keys')
        .select((e) => e.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    async insertAdminKey(name, secret, now) {
      const row = {
        id: createSortableId('adk_', now),
        name,
        lookup: vault.lookupOf(`admin ${secret}`),
        scopes: 'admin',
        created_at: now,
        expires_at: null,
      }
      await db.insertInto('admin_keys').values(row).execute()
      return toAdminKey(row)
    },
  }
}

function toAdminKey(row: Schema['admin_keys']): AdminKey {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    scopes: row.scopes.split(' '),
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
  }
}
