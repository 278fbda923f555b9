import type { Kysely } from 'kysely'
import type { Claim } from '#core/claim.ts'
import { allows, type Scope } from '#core/scopes.ts'
import type { ConfiguredOpeners } from '#core/session.ts'
import { presentScopes } from '#core/sign-on.ts'
import type { Vault } from '#core/vault.ts'
import { keyStillAccepted } from '#storage/admin-keys/accepted.ts'
import { createKeyFinder, isSameHmac } from '#storage/admin-keys/find.ts'
import { integer, isDamage, optional } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { parsePerson } from '#storage/sessions/person.ts'
import { type StoredClaim, toClaim } from './rows.ts'

/** Finds links, with the state that each has now. */
export interface ClaimFinder {
  readonly hmacOf: (code: string) => string
  readonly byCode: (
    db: Kysely<Schema>,
    code: string,
    now: number,
    openers: ConfiguredOpeners | undefined,
  ) => Promise<Claim | undefined>
  /** The open one first, then from the newest on; a damaged row is left out. */
  readonly byUser: (
    db: Kysely<Schema>,
    userId: string,
    now: number,
    openers: ConfiguredOpeners | undefined,
  ) => Promise<readonly Claim[]>
}

export function createClaimFinder(vault: Vault): ClaimFinder {
  const codes = createKeyFinder(vault, 'claim')
  const keys = createKeyFinder(vault, 'admin')

  /** Throws where the row is damaged. */
  async function claimOf(
    db: Kysely<Schema>,
    row: StoredClaim,
    now: number,
    openers: ConfiguredOpeners | undefined,
  ): Promise<Claim> {
    return toClaim(row, now, mayMake(row, (await scopesOfMaker(db, row, now, openers)) ?? []))
  }

  /** What the maker may do now; undefined where what was presented is no longer accepted. */
  async function scopesOfMaker(
    db: Kysely<Schema>,
    row: StoredClaim,
    now: number,
    { key: configured, signOn }: ConfiguredOpeners = {},
  ): Promise<readonly Scope[] | undefined> {
    if (row.person !== null) return signOn && presentScopes(parsePerson(row.person), signOn)
    const key = await keyStillAccepted(db, keys, row, now, configured)
    // As with sessions: what the secret alone has made ends when the secret alone opens nothing any more.
    const isCoded = key?.secondFactorAt === undefined || integer(row.created_at) >= key.secondFactorAt
    return isCoded ? key?.scopes : undefined
  }

  return {
    hmacOf: codes.hmacOf,
    async byCode(db, code, now, openers) {
      const hmacs = await codes.hmacsOf(db, code)
      const row = await db.selectFrom('claims').selectAll().where('code_hmac', 'in', hmacs).executeTakeFirst()
      // The index compared keyed hashes, which tell a guesser nothing; this comparison is constant in time.
      if (!row || !hmacs.some((hmac) => isSameHmac(row.code_hmac, hmac))) return undefined
      return claimOf(db, row, now, openers)
    },
    async byUser(db, userId, now, openers) {
      const rows = await db
        .selectFrom('claims')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute()
      const claims: Claim[] = []
      for (const row of rows) {
        try {
          claims.push(await claimOf(db, row, now, openers))
        } catch (error) {
          if (!isDamage(error)) throw error
        }
      }
      // Two that were made within a millisecond, or before a clock was set back, do not say which is newer.
      return claims.toSorted((one, other) => Number(other.state === 'open') - Number(one.state === 'open'))
    },
  }
}

/** Whether such a link could still be made with these scopes. */
function mayMake(row: StoredClaim, scopes: readonly Scope[]): boolean {
  const isRotating = optional(row.grace_ms, integer) !== null
  return allows(scopes, 'tokens:reveal') && (!isRotating || allows(scopes, 'users:write'))
}
