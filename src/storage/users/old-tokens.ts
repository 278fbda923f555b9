import type { Kysely, Transaction } from 'kysely'
import type { WriteRef } from '#core/user-ref.ts'
import { lookupsOf, type Vault } from '#core/vault.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import { integer } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import type { TokenState } from '#storage/store/users.ts'
import type { Draft } from './draft.ts'
import { digestEnds, digestOwner, digestOwners, endDigests, ownersByDigest } from './token-digests.ts'
import { removeEndedAmong, removeEndedOf, removeOf } from './token-tables.ts'

/**
 * The owner of an access token that is accepted beside the present one: that before it, or one of which only the SHA-256
 * is known. It is looked for only where no user has the token that was presented.
 */
export async function otherTokenOwner(
  db: Kysely<Schema>,
  vault: Vault,
  accessToken: string,
  now: number,
): Promise<{ readonly user_id: string } | undefined> {
  const old = await db
    .selectFrom('old_tokens')
    .select('user_id')
    .where('token_hmac', 'in', lookupsOf(vault, accessToken))
    .where('valid_until', '>', now)
    .executeTakeFirst()
  return old ?? digestOwner(db, vault, accessToken, now)
}

interface OldRow {
  readonly user_id: string
  readonly token_hmac: string
  readonly valid_until: number
}

/**
 * The owners of access tokens that are accepted beside the present one, by the keys of these references. One from before a
 * rotation names its user as long as it is accepted.
 * @param refs by their keys; that of an access token is its look-up key
 */
export async function otherTokenOwners(
  db: Kysely<Schema>,
  parts: { readonly many: ManyRows; readonly vault: Vault },
  refs: ReadonlyMap<string, Exclude<WriteRef, { readonly id: string }>>,
  now: number,
): Promise<ReadonlyMap<string, string>> {
  const { many, vault } = parts
  const keys = new Map<string, string>()
  const keysOfDigests = new Map<string, string>()
  const strange = new Map<string, string>()
  for (const [key, ref] of refs) {
    if ('tokenDigest' in ref) {
      keysOfDigests.set(vault.digestLookupOf(ref.tokenDigest), key)
      const other = vault.otherDigestLookupOf?.(ref.tokenDigest)
      if (other !== undefined) keysOfDigests.set(other, key)
      continue
    }
    strange.set(ref.accessToken, key)
    keys.set(key, key)
    const other = vault.otherLookupOf?.(ref.accessToken)
    if (other !== undefined) keys.set(other, key)
  }
  const owners = new Map<string, string>()
  for (const [accessToken, id] of await ownersByDigest(db, parts, [...strange.keys()], now))
    owners.set(strange.get(accessToken) ?? '', id)
  for (const [hmac, id] of await digestOwners(db, many, [...keysOfDigests.keys()], now))
    owners.set(keysOfDigests.get(hmac) ?? '', id)
  for (const [hmac, id] of await oldTokenOwners(db, many, [...keys.keys()], now))
    owners.set(keys.get(hmac) ?? '', id)
  return owners
}

/** Which of these hashes are those of old tokens, and whose. */
async function oldTokenOwners(
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
  const strange = accessTokens.filter(
    (_, index) => !hmacs[index]?.some((hmac) => held.has(hmac) || ends.has(hmac)),
  )
  const ofDigests = await digestEnds(db, vault, strange)
  return hmacs.map((own, index) => {
    if (own.some((hmac) => held.has(hmac))) return { kind: 'present' }
    const until =
      own.map((hmac) => ends.get(hmac)).find((at) => at !== undefined) ??
      ofDigests.get(accessTokens[index] ?? '')
    if (until === null) return { kind: 'present' }
    return until === undefined ? { kind: 'unknown' } : { kind: 'old', until }
  })
}

const newOldTokens = inserts('old_tokens', ['user_id', 'token_hmac', 'token_encrypted', 'valid_until'])

/**
 * The present tokens of these users become the old ones, until then, and so do those of which only the SHA-256 is known.
 * Those that were old before are dropped, and so are the present ones where `until` has passed.
 */
export async function keepOldTokens(
  trx: Transaction<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  drafts: readonly Draft[],
  until: number | undefined,
  now: number,
): Promise<void> {
  const ids = drafts.map(({ id }) => id)
  await endDigests(trx, ids, until, now)
  await removeOf(trx, 'old_tokens', ids)
  if (until === undefined || until <= now) return
  const hmacs = drafts.flatMap(({ accessToken }) => lookupsOf(vault, accessToken))
  await removeEndedAmong(trx, 'old_tokens', hmacs, now)
  const rows = drafts.map(({ id, tokenHmac, tokenEncrypted }) => [id, tokenHmac, tokenEncrypted, until])
  await many.write(trx, newOldTokens, rows)
}

/** Removes what is accepted beside the present token of these users. */
export async function removeOtherTokens(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  await removeOf(trx, 'old_tokens', ids)
  await removeOf(trx, 'token_digests', ids)
}

/** Removes tokens that are not accepted any more. */
export async function removeEndedTokens(db: Kysely<Schema>, now: number, limit: number): Promise<number> {
  const rows = await removeEndedOf(db, 'old_tokens', now, limit)
  return rows < limit ? rows + (await removeEndedOf(db, 'token_digests', now, limit - rows)) : rows
}
