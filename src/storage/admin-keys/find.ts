import { timingSafeEqual } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Vault } from '#core/vault.ts'
import { createKeptLookups } from '#storage/keys/kept-lookups.ts'
import type { AdminKeyRow, Schema } from '#storage/schema/tables.ts'

/** A key, and the stored keyed hash by which it was found: of its present secret, or of the one before. */
interface FoundKey {
  readonly row: AdminKeyRow
  readonly hmac: string
}

/** Finds admin keys, also those whose secrets were hashed before the master key was replaced. */
export interface KeyFinder {
  readonly hmacOf: (secret: string) => string
  /** The hash under the present master key, and under those before. */
  readonly hmacsOf: (db: Kysely<Schema>, secret: string) => Promise<readonly string[]>
  readonly bySecret: (db: Kysely<Schema>, secret: string, now: number) => Promise<FoundKey | undefined>
}

/** @param what keeps the hashes of each kind of secret apart, and all apart from those of access tokens */
export function createKeyFinder(vault: Vault, what: 'admin' | 'session' | 'recovery' | 'claim'): KeyFinder {
  const textOf = (secret: string) => `${what} ${secret}`
  const kept = createKeptLookups(vault)
  const hmacOf = (secret: string) => vault.lookupOf(textOf(secret))
  return {
    hmacOf,
    hmacsOf: async (db, secret) => [hmacOf(secret), ...(await kept.olderOf(db, textOf(secret)))],
    async bySecret(db, secret, now) {
      const hmac = hmacOf(secret)
      const row = await findKeyRow(db, hmac, now)
      if (row) return { row, hmac }
      for (const older of await kept.olderOf(db, textOf(secret))) {
        const found = await findKeyRow(db, older, now)
        if (found) return { row: found, hmac: older }
      }
      return undefined
    },
  }
}

/** The key with this keyed hash: of its present secret, or of the one before while that is accepted. */
export async function findKeyRow(
  db: Kysely<Schema>,
  hmac: string,
  now: number,
): Promise<AdminKeyRow | undefined> {
  const keys = db.selectFrom('admin_keys').selectAll()
  const row = await keys.where('key_hmac', '=', hmac).executeTakeFirst()
  // The index compared keyed hashes, which tell a guesser nothing; this comparison is constant in time whatever the
  // index does.
  if (row) return isSameHmac(row.key_hmac, hmac) ? row : undefined
  const rotated = await keys.where('previous_hmac', '=', hmac).executeTakeFirst()
  if (!rotated || !isSameHmac(rotated.previous_hmac ?? '', hmac)) return undefined
  return (rotated.previous_until ?? 0) > now ? rotated : undefined
}

export function isSameHmac(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
