import type { Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import { addressesMax, type UserProfile } from '#core/user-edit.ts'
import { createUserId } from '#core/user-id.ts'
import type { WriteRef } from '#core/user-ref.ts'
import type { Vault } from '#core/vault.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { LoadedQuota, Quotas } from '#storage/quotas/account.ts'
import { integer } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import type { UserWrite } from '#storage/store/users.ts'
import type { Draft } from './draft.ts'
import { saveFoundBy } from './found-by.ts'
import { otherTokenOwners } from './old-tokens.ts'
import { readUserParts } from './parts.ts'
import { type QuotaWriting, saveAdjustments, saveQuotas } from './quota-changes.ts'
import { addUpReservedOf, isPlausible } from './reserved.ts'
import { type StoredUser, toProfile, unsealed } from './rows.ts'
import { saveProfiles } from './save-profiles.ts'
import { saveDigests } from './token-digests.ts'

/** What the loading of drafts needs beside the transaction. */
interface DraftLoading {
  readonly many: ManyRows
  readonly vault: Vault
}

/** The key of a reference's draft: the id, or the look-up key of the access token or of its SHA-256. */
export function draftKeyOf(ref: WriteRef, vault: Vault): string {
  if ('id' in ref) return ref.id
  return 'tokenDigest' in ref ? vault.digestLookupOf(ref.tokenDigest) : vault.lookupOf(ref.accessToken)
}

const byId = 'select * from users where id {in} {lock}'
const byTokenHmac = 'select * from users where token_hmac {in} {lock}'
const idsById = 'select id from users where id {in} {lock}'
const idsByTokenHmac = 'select id from users where token_hmac {in}'

/**
 * Loads and locks the users of these references, by id and by look-up key. Every change of a user is made under the
 * lock of its row. Locks are always taken in the order of the ids, which avoids deadlocks.
 *
 * @param keys the key of each reference
 */
export async function loadDrafts(
  trx: Transaction<Schema>,
  loading: DraftLoading,
  refs: readonly WriteRef[],
  keys: readonly string[],
  now: number,
): Promise<Map<string, Draft>> {
  const drafts = new Map<string, Draft>()
  const load = async (text: string, some: readonly string[]) => {
    const rows = await loading.many.query<StoredUser>(trx, text, some)
    if (rows.length > 0) await addDrafts(trx, loading, drafts, rows)
  }
  const unique = [...new Set([...keys, ...otherHmacs(loading, refs)])]
  if (unique.length <= lockedAtOnce && refs.every((ref) => !('id' in ref))) {
    await load(byTokenHmac, unique)
  } else {
    for (const chunk of chunksOf((await idsOf(trx, loading, refs, keys)).sort(), lockedAtOnce))
      await load(byId, chunk)
  }
  const strange = new Map(
    refs.flatMap((ref, index) => {
      const key = keys[index] ?? ''
      return 'id' in ref || drafts.has(key) ? [] : [[key, ref] as const]
    }),
  )
  const owners = await otherTokenOwners(trx, loading, strange, now)
  if (owners.size > 0) await load(byId, [...new Set(owners.values())].sort())
  for (const [key, id] of owners) {
    const draft = drafts.get(id)
    if (draft) drafts.set(key, draft)
  }
  return drafts
}

/**
 * Locks the users of these references, who are then loaded in parts: locks that were taken part by part would meet those
 * of another bulk in another order. With one writer at a time there is nothing to lock.
 */
export async function lockUsers(
  trx: Transaction<Schema>,
  loading: DraftLoading,
  refs: readonly WriteRef[],
  keys: readonly string[],
): Promise<void> {
  const { many } = loading
  if (!many.locksRows) return
  for (const chunk of chunksOf((await idsOf(trx, loading, refs, keys)).sort(), lockedAtOnce))
    await many.query(trx, idsById, chunk)
}

/** Loads and locks one user; undefined where no user has this reference. */
export async function loadDraft(
  trx: Transaction<Schema>,
  loading: DraftLoading,
  ref: WriteRef,
  now: number,
): Promise<Draft | undefined> {
  const key = draftKeyOf(ref, loading.vault)
  return (await loadDrafts(trx, loading, [ref], [key], now)).get(key)
}

/** One statement takes its locks in order; for more users than this the ids have to be known first. */
const lockedAtOnce = 10_000

/** The look-up keys of references by access token under the other master key, while one is being replaced. */
function otherHmacs(
  { vault: { otherLookupOf } }: DraftLoading,
  refs: readonly WriteRef[],
): readonly string[] {
  if (!otherLookupOf) return []
  return refs.flatMap((ref) => ('accessToken' in ref ? otherLookupOf(ref.accessToken) : []))
}

async function idsOf(
  trx: Transaction<Schema>,
  loading: DraftLoading,
  refs: readonly WriteRef[],
  keys: readonly string[],
): Promise<string[]> {
  const ids = new Set<string>()
  const hmacs = new Set(otherHmacs(loading, refs))
  for (const [index, key] of keys.entries()) ('id' in (refs[index] ?? {}) ? ids : hmacs).add(key)
  for (const chunk of chunksOf([...hmacs]))
    for (const { id } of await loading.many.query<{ readonly id: string }>(trx, idsByTokenHmac, chunk))
      ids.add(id)
  return [...ids]
}

async function addDrafts(
  trx: Transaction<Schema>,
  { many, vault }: DraftLoading,
  drafts: Map<string, Draft>,
  rows: readonly StoredUser[],
): Promise<void> {
  const ids = rows.map((row) => row.id)
  let parts = await readUserParts(trx, many, ids)
  let quotas = ids.map(parts.quotasOf)
  const odd = ids.filter((_, index) =>
    quotas[index]?.some((quota) => !isPlausible(quota.reserved, quota.openRequests)),
  )
  if (odd.length > 0) {
    await addUpReservedOf(trx, odd)
    parts = await readUserParts(trx, many, ids)
    quotas = ids.map(parts.quotasOf)
  }
  for (const [index, row] of rows.entries()) {
    const profile = toProfile(row, parts.addressesOf(row.id))
    const draft: Draft = {
      id: row.id,
      accessToken: unsealed(row, vault),
      tokenHmac: row.token_hmac,
      row,
      isNew: false,
      tokenEncrypted: row.token_encrypted,
      revision: integer(row.revision),
      profile,
      stored: profile,
      expirySetAt: row.expiry_set_at,
      addressesChanged: false,
      quotas: new Map(quotas[index]?.map((quota) => [quota.family, quota])),
      adjustments: [],
      newDigest: undefined,
    }
    drafts.set(row.id, draft)
    drafts.set(row.token_hmac, draft)
    // A row under the other master key has the key of its reference as well.
    if (vault.otherLookupOf) drafts.set(vault.lookupOf(draft.accessToken), draft)
  }
}

/**
 * A user who is not stored yet, with the access token of the reference or a new one.
 *
 * @param key of the reference
 */
export function newDraft(
  { ref, newId }: Pick<UserWrite, 'ref' | 'newId'>,
  key: string,
  profile: UserProfile,
  vault: Vault,
  now: number,
): Draft {
  const id = newId ?? createUserId(now)
  const accessToken = 'accessToken' in ref ? ref.accessToken : createAccessToken()
  return {
    id,
    accessToken,
    tokenHmac: 'accessToken' in ref ? key : vault.lookupOf(accessToken),
    row: undefined,
    isNew: true,
    tokenEncrypted: vault.seal(accessToken, id),
    revision: 1,
    profile,
    stored: undefined,
    expirySetAt: null,
    addressesChanged: false,
    quotas: new Map(),
    adjustments: [],
    newDigest: undefined,
  }
}

export async function saveDrafts(
  trx: Transaction<Schema>,
  writing: QuotaWriting & DraftLoading,
  drafts: readonly Draft[],
  now: number,
): Promise<void> {
  for (const chunk of chunksOf(drafts)) {
    await saveProfiles(trx, writing, chunk)
    const quotas = chunk.flatMap(({ id: userId, quotas: all }) =>
      changedOf(all).map((quota) => ({ userId, quota })),
    )
    await saveQuotas(trx, writing, quotas)
    await saveAdjustments(
      trx,
      writing,
      chunk.flatMap((draft) => draft.adjustments),
    )
    await saveFoundBy(trx, writing, chunk)
    const known = chunk.flatMap(({ id, newDigest: digest }) => (digest === undefined ? [] : [{ id, digest }]))
    if (known.length > 0) await saveDigests(trx, writing, known, now)
    const moved = chunk.filter((draft) => draft.addressesChanged)
    if (moved.length > 0) await replaceAddresses(trx, writing, moved, now)
  }
}

function changedOf(quotas: Quotas): readonly LoadedQuota[] {
  return [...quotas.values()].filter(({ isChanged }) => isChanged)
}

const newAddresses = inserts('addresses', ['user_id', 'address', 'first_seen_at', 'last_seen_at'])

interface SeenRow {
  readonly user_id: string
  readonly address: string
  readonly last_seen_at: number
}

/** Replaces users' addresses in the given order; an address that stays keeps the time at which it was last seen. */
async function replaceAddresses(
  trx: Transaction<Schema>,
  { many }: QuotaWriting,
  drafts: readonly Draft[],
  now: number,
): Promise<void> {
  const stored = drafts.flatMap(({ id, isNew }) => (isNew ? [] : [id]))
  const seenAt = new Map<string, number>()
  if (stored.length > 0) {
    const text = 'select user_id, address, last_seen_at from addresses where user_id {in}'
    for (const row of await many.query<SeenRow>(trx, text, stored))
      seenAt.set(`${row.user_id} ${row.address}`, row.last_seen_at)
    await many.query(trx, 'delete from addresses where user_id {in}', stored)
  }
  const rows = drafts.flatMap(({ id, profile }) => {
    const addresses = profile.addresses.slice(-addressesMax)
    return addresses.map((address, index) => [
      ...[id, address, now - addresses.length + index],
      seenAt.get(`${id} ${address}`) ?? now,
    ])
  })
  await many.write(trx, newAddresses, rows)
}
