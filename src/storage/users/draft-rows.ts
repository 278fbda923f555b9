import type { Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import { addressesMax, type UserProfile } from '#core/user-edit.ts'
import { createUserId } from '#core/user-id.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { Vault } from '#core/vault.ts'
import type { LoadedQuota, Quotas } from '#storage/quotas/account.ts'
import { integer } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { Draft } from './draft.ts'
import { saveFoundBy } from './found-by.ts'
import { readUserParts } from './parts.ts'
import { chunksOf, saveAdjustments, saveQuotas } from './quota-changes.ts'
import { addUpReservedOf, isPlausible } from './reserved.ts'
import { type ProfileColumns, type StoredUser, toColumns, toProfile, unsealed } from './rows.ts'

export const usersAtOnce = 200

/** The key of a reference's draft: the id, or the look-up key of the access token. */
export function draftKeyOf(ref: UserRef, vault: Vault): string {
  return 'id' in ref ? ref.id : vault.lookupOf(ref.accessToken)
}

/**
 * Loads and locks the users of these references, by id and by look-up key. Every change of a user is made under the
 * lock of its row. Locks are always taken in the order of the ids, which avoids deadlocks.
 */
export async function loadDrafts(
  trx: Transaction<Schema>,
  vault: Vault,
  refs: readonly UserRef[],
): Promise<Map<string, Draft>> {
  const lookups = refs.flatMap((ref) => ('id' in ref ? [] : [draftKeyOf(ref, vault)]))
  const ids = new Set(refs.flatMap((ref) => ('id' in ref ? [ref.id] : [])))
  for (const chunk of chunksOf([...new Set(lookups)], usersAtOnce)) {
    const rows = await trx.selectFrom('users').select('id').where('token_hmac', 'in', chunk).execute()
    for (const { id } of rows) ids.add(id)
  }
  const drafts = new Map<string, Draft>()
  for (const chunk of chunksOf([...ids].sort(), usersAtOnce)) {
    const rows = await trx
      .selectFrom('users')
      .selectAll()
      .where('id', 'in', chunk)
      .orderBy('id')
      .forUpdate()
      .execute()
    if (rows.length > 0) await addDrafts(trx, vault, drafts, rows)
  }
  return drafts
}

async function addDrafts(
  trx: Transaction<Schema>,
  vault: Vault,
  drafts: Map<string, Draft>,
  rows: readonly StoredUser[],
): Promise<void> {
  const ids = rows.map((row) => row.id)
  let parts = await readUserParts(trx, ids)
  const odd = ids.filter((id) =>
    parts.quotasOf(id).some((quota) => !isPlausible(quota.reserved, quota.openRequests)),
  )
  if (odd.length > 0) {
    await addUpReservedOf(trx, odd)
    parts = await readUserParts(trx, ids)
  }
  for (const row of rows) {
    const profile = toProfile(row, parts.addressesOf(row.id))
    const draft: Draft = {
      id: row.id,
      accessToken: unsealed(row, vault),
      tokenHmac: row.token_hmac,
      isNew: false,
      tokenEncrypted: row.token_encrypted,
      revision: integer(row.revision),
      profile,
      stored: profile,
      expirySetAt: row.expiry_set_at,
      addressesChanged: false,
      quotas: new Map(parts.quotasOf(row.id).map((quota) => [quota.family, quota])),
      adjustments: [],
    }
    drafts.set(row.id, draft)
    drafts.set(row.token_hmac, draft)
  }
}

/** A user who is not stored yet, with the access token of the reference or a new one. */
export function newDraft(ref: UserRef, profile: UserProfile, vault: Vault, now: number): Draft {
  const id = createUserId(now)
  const accessToken = 'accessToken' in ref ? ref.accessToken : createAccessToken()
  return {
    id,
    accessToken,
    tokenHmac: vault.lookupOf(accessToken),
    isNew: true,
    tokenEncrypted: vault.seal(accessToken, id),
    revision: 1,
    profile,
    stored: undefined,
    expirySetAt: null,
    addressesChanged: false,
    quotas: new Map(),
    adjustments: [],
  }
}

/** @param instance the name of this process in the entries of adjustments */
export async function saveDrafts(
  trx: Transaction<Schema>,
  drafts: readonly Draft[],
  instance: string,
  now: number,
): Promise<void> {
  for (const chunk of chunksOf(drafts, usersAtOnce)) {
    await saveProfiles(
      trx,
      chunk.map((draft) => toColumns(draft.profile, draft)),
    )
    await saveQuotas(
      trx,
      chunk.flatMap(({ id: userId, quotas }) => changedOf(quotas).map((quota) => ({ userId, quota }))),
    )
    const adjustments = chunk.flatMap((draft) => draft.adjustments)
    await saveAdjustments(trx, adjustments, instance)
  }
  await saveFoundBy(trx, drafts)
  for (const draft of drafts) {
    if (draft.addressesChanged) await replaceAddresses(trx, draft, now)
  }
}

function changedOf(quotas: Quotas): readonly LoadedQuota[] {
  return [...quotas.values()].filter(({ isChanged }) => isChanged)
}

async function saveProfiles(trx: Transaction<Schema>, rows: readonly ProfileColumns[]): Promise<void> {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first).filter(
    (name): name is keyof ProfileColumns => name !== 'id' && name in first,
  )
  await trx
    .insertInto('users')
    .values([...rows])
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((e) => Object.fromEntries(columns.map((name) => [name, e.ref(`excluded.${name}`)]))),
    )
    .execute()
}

/** Replaces a user's addresses in the given order; an address that stays keeps the time at which it was last seen. */
async function replaceAddresses(trx: Transaction<Schema>, draft: Draft, now: number): Promise<void> {
  const before = await trx.selectFrom('addresses').selectAll().where('user_id', '=', draft.id).execute()
  const seenAt = new Map(before.map((row) => [row.address, row.last_seen_at]))
  await trx.deleteFrom('addresses').where('user_id', '=', draft.id).execute()
  const addresses = draft.profile.addresses.slice(-addressesMax)
  if (addresses.length === 0) return
  const rows = addresses.map((address, index) => ({
    user_id: draft.id,
    address,
    first_seen_at: now - addresses.length + index,
    last_seen_at: seenAt.get(address) ?? now,
  }))
  await trx.insertInto('addresses').values(rows).execute()
}
