import type { Kysely, Transaction } from 'kysely'
import { digestLookupsOf, type Vault } from '#core/vault.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import { integer, optional } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import { removeEndedAmong, removeOf } from './token-tables.ts'

/**
 * Access tokens of which only the SHA-256 is known: users of another gateway keep theirs. Such a one is accepted beside the
 * user's own token, and looked for only where no user has the token that was presented. It stays a look-up: a first
 * use writes nothing, so that no request pays for it and no two of them meet.
 */

interface DigestRow {
  readonly user_id: string
  readonly token_hmac: string
  readonly valid_until: number | null
}

const byHmac = 'select user_id, token_hmac, valid_until from token_digests where token_hmac {in}'
const sealedByUser =
  'select user_id, digest_encrypted from token_digests where user_id {in} and valid_until is null'

/** Whether there is any: without one no access token has to be hashed for this. */
async function haveAny(db: Kysely<Schema>): Promise<boolean> {
  return (await db.selectFrom('token_digests').select('user_id').limit(1).executeTakeFirst()) !== undefined
}

/** The owners of digests, by the hashes under which those are stored. */
export async function digestOwners(
  db: Kysely<Schema>,
  many: ManyRows,
  hmacs: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, string>> {
  const owners = new Map<string, string>()
  for (const chunk of chunksOf(hmacs))
    for (const row of await many.query<DigestRow>(db, byHmac, chunk))
      if (isAccepted(row, now)) owners.set(row.token_hmac, row.user_id)
  return owners
}

/** For each of these access tokens whose SHA-256 a user has, that user's id. */
export async function ownersByDigest(
  db: Kysely<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  accessTokens: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  if (accessTokens.length === 0 || !(await haveAny(db))) return found
  const lookups = accessTokens.map((each) => digestLookupsOf(vault, each))
  const owners = await digestOwners(db, many, lookups.flat(), now)
  for (const [index, accessToken] of accessTokens.entries()) {
    const id = lookups[index]?.map((hmac) => owners.get(hmac)).find((each) => each !== undefined)
    if (id !== undefined) found.set(accessToken, id)
  }
  return found
}

/** The same for one. */
export async function digestOwner(
  db: Kysely<Schema>,
  vault: Vault,
  accessToken: string,
  now: number,
): Promise<{ readonly user_id: string } | undefined> {
  if (!(await haveAny(db))) return undefined
  return db
    .selectFrom('token_digests')
    .select('user_id')
    .where('token_hmac', 'in', digestLookupsOf(vault, accessToken))
    .where((e) => e.or([e('valid_until', 'is', null), e('valid_until', '>', now)]))
    .executeTakeFirst()
}

/** Until when each of these access tokens is accepted by its digest, whatever the time is; null for as long as the user. */
export async function digestEnds(
  db: Kysely<Schema>,
  vault: Vault,
  accessTokens: readonly string[],
): Promise<ReadonlyMap<string, number | null>> {
  const ends = new Map<string, number | null>()
  if (accessTokens.length === 0 || !(await haveAny(db))) return ends
  const lookups = new Map(
    accessTokens.flatMap((each) => digestLookupsOf(vault, each).map((hmac) => [hmac, each] as const)),
  )
  const rows = await db
    .selectFrom('token_digests')
    .select(['token_hmac', 'valid_until'])
    .where('token_hmac', 'in', [...lookups.keys()])
    .execute()
  for (const row of rows) ends.set(lookups.get(row.token_hmac) ?? '', optional(row.valid_until, integer))
  return ends
}

/** The digests of these users that are accepted for as long as the user; 64 hexadecimal digits. */
export async function readDigests(
  db: Kysely<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const digests = new Map<string, string>()
  if (ids.length === 0 || !(await haveAny(db))) return digests
  for (const chunk of chunksOf(ids))
    for (const row of await many.query<{ user_id: string; digest_encrypted: string }>(
      db,
      sealedByUser,
      chunk,
    ))
      digests.set(row.user_id, vault.unseal(row.digest_encrypted, row.user_id))
  return digests
}

const digestRows = inserts(
  'token_digests',
  ['user_id', 'token_hmac', 'digest_encrypted', 'valid_until'],
  `on conflict (user_id) do update set token_hmac = excluded.token_hmac,
    digest_encrypted = excluded.digest_encrypted, valid_until = excluded.valid_until`,
)

/**
 * One digest for each user; one that stood before is not accepted any more. Of another user it may stand here still
 * where it has ended and upkeep has not come by.
 */
export async function saveDigests(
  trx: Transaction<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  digests: readonly { readonly id: string; readonly digest: string }[],
  now: number,
): Promise<void> {
  const hmacs = digests.flatMap(({ digest }) => [
    vault.digestLookupOf(digest),
    ...(vault.otherDigestLookupOf ? [vault.otherDigestLookupOf(digest)] : []),
  ])
  await removeEndedAmong(trx, 'token_digests', hmacs, now)
  const rows = digests.map(({ id, digest }) => [
    ...[id, vault.digestLookupOf(digest), vault.seal(digest, id)],
    null,
  ])
  await many.write(trx, digestRows, rows)
}

/** After a rotation: the digests are accepted until then, or no longer. None gets more time than it had. */
export async function endDigests(
  trx: Transaction<Schema>,
  ids: readonly string[],
  until: number | undefined,
  now: number,
): Promise<void> {
  if (until === undefined || until <= now) return removeOf(trx, 'token_digests', ids)
  for (const some of chunksOf(ids))
    await trx
      .updateTable('token_digests')
      .set({ valid_until: until })
      .where('user_id', 'in', some)
      .where((e) => e.or([e('valid_until', 'is', null), e('valid_until', '>', until)]))
      .execute()
}

function isAccepted({ valid_until }: DigestRow, now: number): boolean {
  return valid_until === null || integer(valid_until) > now
}
