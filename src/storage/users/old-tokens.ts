import type { Kysely, Transaction } from 'kysely'
import { lookupsOf, type Vault } from '#core/vault.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import { integer } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { TokenState } from '#storage/store/users.ts'
import type { Draft } from './draft.ts'

/**
 * The access token before the present one, while it is accepted as well. It is looked for only where no user has the
 * token that was presented.
 */
export function oldTokenOwner(
  db: Kysely<Schema>,
  vault: Vault,
  accessToken: string,
  now: number,
): Promise<{ readonly user_id: string } | undefined> {
  return db
    .selectFrom('old_tokens')
    .select('user_id')
    .where('token_hmac', 'in', lookupsOf(vault, accessToken))
    .where('valid_until', '>', now)
    .executeTakeFirst()
}

interface OldRow {
  readonly user_id: string
  readonly token_hmac: string
  readonly valid_until: number
}

/** Which of these hashes are those of old tokens, and whose. */
export async function oldTokenOwners(
  db: Kysely<Schema>,
  many: ManyRows,
  hmacs: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, string>> {
  const owners = new Map<string, string>()
  const text = 'select user_id, token_hmac, valid_until from old_tokens where token_hmac {in}'
  for (const chunk of chunksOf(hmacs))
    for (const row of await many.query<OldRow>(db, text, chunk))
      if (integer(row.valid_until) > now) owners.set(row.token_hmac, row.user_id)
  return owners
}

/** How long each of these access tokens is accepted, as far as the tokens alone say. */
export async function readTokenStates(
  db: Kysely<Schema>,
  vault: Vault,
  accessTokens: readonly string[],
): Promise<readonly TokenState[]> {
  const hmacs = accessTokens.map((each) => lookupsOf(vault, each))
  const all = hmacs.flat()
  if (all.length === 0) return []
  const present = await db.selectFrom('users').select('token_hmac').where('token_hmac', 'in', all).execute()
  const held = new Set(present.map((row) => row.token_hmac))
  const old = await db
    .selectFrom('old_tokens')
    .select(['token_hmac', 'valid_until'])
    .where('token_hmac', 'in', all)
    .execute()
  const ends = new Map(old.map((row) => [row.token_hmac, integer(row.valid_until)]))
  return hmacs.map((own) => {
    if (own.some((hmac) => held.has(hmac))) return { kind: 'present' }
    const until = own.map((hmac) => ends.get(hmac)).find((at) => at !== undefined)
    return until === undefined ? { kind: 'unknown' } : { kind: 'old', until }
  })
}

/**
 * The present token of a user becomes the old one, until then. One that was old before is dropped, and so is the present
 * one where `until` has passed.
 */
export async function keepOldToken(
  trx: Transaction<Schema>,
  { id, tokenHmac, tokenEncrypted }: Draft,
  until: number | undefined,
  now: number,
): Promise<void> {
  await trx.deleteFrom('old_tokens').where('user_id', '=', id).execute()
  if (until === undefined || until <= now) return
  await trx
    .insertInto('old_tokens')
    .values({ user_id: id, token_hmac: tokenHmac, token_encrypted: tokenEncrypted, valid_until: until })
    .execute()
}

export async function removeOldTokens(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunksOf(ids)) await trx.deleteFrom('old_tokens').where('user_id', 'in', some).execute()
}

/** Removes tokens that are not accepted any more. */
export async function removeEndedTokens(db: Kysely<Schema>, now: number, limit: number): Promise<number> {
  const removed = await db
    .deleteFrom('old_tokens')
    .where('user_id', 'in', (e) =>
      e.selectFrom('old_tokens').select('user_id').where('valid_until', '<=', now).limit(limit),
    )
    // One that was rotated since it was found has another end.
    .where('valid_until', '<=', now)
    .executeTakeFirstOrThrow()
  return Number(removed.numDeletedRows)
}
