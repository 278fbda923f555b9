import type { Kysely, Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import { type Policy, periodOf, viewQuota } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import { addressesMax, disableEdit, editProfile, type UserEdit, type UserProfile } from '#core/user-edit.ts'
import { createUserId } from '#core/user-id.ts'
import type { Vault } from '#core/vault.ts'
import { rememberUser, repeatedUser } from './answers.ts'
import { adjustUsed, chunksOf, emptyQuota, rollQuota, saveAdjustments, saveQuotas } from './quota-changes.ts'
import { countUsedSince } from './recount.ts'
import type { EntryRow, QuotaRow, Schema } from './schema.ts'
import type {
  QuotaAdded,
  QuotaAddition,
  Repeat,
  UserCreated,
  UserRef,
  UserStore,
  UsersWritten,
  UserWrite,
} from './store.ts'
import { createUsageReset, type ResetUsers } from './usage-reset.ts'
import { readUserParts } from './user-parts.ts'
import { type ProfileColumns, type StoredUser, toColumns, toProfile, toQuotaState } from './user-rows.ts'
import { createUserReader } from './users-read.ts'

/** Writing users: everything here happens in one transaction, wholly or not at all. */
export interface UserWriter extends Pick<UserStore, 'insertUser' | 'writeUsers' | 'addToQuota'> {
  readonly resetUsers: ResetUsers
  readonly disableUser: (ref: UserRef, reason: string | undefined, now: number) => Promise<string | undefined>
}

/** A user while its edits are applied: what was read, and what is to be written. */
interface Draft {
  readonly id: string
  readonly accessToken: string
  readonly lookup: string
  readonly isNew: boolean
  sealed: string
  revision: number
  profile: UserProfile
  addressesChanged: boolean
  readonly quotas: Map<string, QuotaRow>
  readonly quotasChanged: Set<string>
  readonly adjustments: EntryRow[]
}

const usersAtOnce = 200
const routes = { edit: '/admin/users', reset: '/admin/users/{token}/quota/reset' } as const

/** @param announce tells other processes of users that were changed, when the transaction commits */
export function createUserWriter(
  db: Kysely<Schema>,
  vault: Vault,
  policy: Policy,
  instance: string,
  announce?: (trx: Transaction<Schema>, ids: readonly string[]) => Promise<void>,
): UserWriter {
  async function write(
    trx: Transaction<Schema>,
    writes: readonly UserWrite[],
    now: number,
  ): Promise<UsersWritten> {
    const drafts = await loadDrafts(trx, writes)
    const touched = new Set<Draft>()
    const order: Draft[] = []
    for (const [index, { ref, edit, expectedRevision }] of writes.entries()) {
      const key = keyOf(ref)
      const known = drafts.get(key)
      if (!known && 'id' in ref) return { kind: 'unknown', index }
      if (
        expectedRevision !== undefined &&
        (!known || (expectedRevision !== 'any' && known.revision !== expectedRevision))
      ) {
        return { kind: 'stale', index }
      }
      const edited = editProfile(known?.profile, edit, now)
      if (edited.kind === 'invalid') return { kind: 'invalid', index, issues: edited.issues }
      const draft = known ?? newDraft(ref, edited.profile, now)
      drafts.set(key, draft)
      drafts.set(draft.id, draft)
      if (known) await recountIfPeriodChanged(trx, known, edited.profile, now)
      const issues = applyEdit(draft, edit, edited.profile, now, touched.has(draft))
      if (issues.length > 0) return { kind: 'invalid', index, issues }
      touched.add(draft)
      order.push(draft)
    }
    await save(trx, [...touched], now)
    const known = [...touched].flatMap(({ id, isNew }) => (isNew ? [] : [id]))
    if (known.length > 0) await announce?.(trx, known)
    const rows = await rowsById(
      trx,
      [...touched].map((draft) => draft.id),
    )
    const users = await createUserReader(trx, vault, policy).withParts(rows, now)
    const byId = new Map(users.map((user) => [user.id, user]))
    return { kind: 'written', users: order.flatMap((draft) => byId.get(draft.id) ?? []) }
  }

  function keyOf(ref: UserRef): string {
    return 'id' in ref ? ref.id : vault.lookupOf(ref.accessToken)
  }

  /** What the writes are about, by id and by look-up key. */
  async function loadDrafts(
    trx: Transaction<Schema>,
    writes: readonly UserWrite[],
  ): Promise<Map<string, Draft>> {
    const ids = writes.flatMap(({ ref }) => ('id' in ref ? [ref.id] : []))
    const lookups = writes.flatMap(({ ref }) => ('id' in ref ? [] : [keyOf(ref)]))
    const drafts = new Map<string, Draft>()
    // Whatever is said of a user is said under the lock of its row; locks are taken in the order of ids.
    for (const [column, values] of [
      ['id', ids],
      ['lookup', lookups],
    ] as const) {
      for (const chunk of chunksOf([...new Set(values)], usersAtOnce)) {
        const rows = await trx
          .selectFrom('users')
          .selectAll()
          .where(column, 'in', chunk)
          .orderBy('id')
          .forUpdate()
          .execute()
        await addDrafts(trx, drafts, rows)
      }
    }
    return drafts
  }

  async function addDrafts(
    trx: Transaction<Schema>,
    drafts: Map<string, Draft>,
    rows: readonly StoredUser[],
  ) {
    const missing = rows.filter((row) => !drafts.has(row.id))
    if (missing.length === 0) return
    const parts = await readUserParts(
      trx,
      missing.map((row) => row.id),
    )
    for (const row of missing) {
      const draft: Draft = {
        id: row.id,
        accessToken: vault.unseal(row.sealed, row.id),
        lookup: row.lookup,
        isNew: false,
        sealed: row.sealed,
        revision: row.revision,
        profile: toProfile(row, parts.addressesOf(row.id)),
        addressesChanged: false,
        quotas: new Map(parts.quotasOf(row.id).map((quota) => [quota.family, { ...quota }])),
        quotasChanged: new Set(),
        adjustments: [],
      }
      drafts.set(row.id, draft)
      drafts.set(row.lookup, draft)
    }
  }

  function newDraft(ref: UserRef, profile: UserProfile, now: number): Draft {
    const id = createUserId(now)
    const accessToken = 'accessToken' in ref ? ref.accessToken : createAccessToken()
    return {
      id,
      accessToken,
      lookup: vault.lookupOf(accessToken),
      isNew: true,
      sealed: vault.seal(accessToken, id),
      revision: 1,
      profile,
      addressesChanged: false,
      quotas: new Map(),
      quotasChanged: new Set(),
      adjustments: [],
    }
  }

  /**
   * Another period began at another instant: what was used since then stands in the ledger, not in the count.
   * What was added for the period that runs now is kept, as whoever got it would lose it otherwise; it ends with
   * the new one.
   */
  async function recountIfPeriodChanged(
    trx: Transaction<Schema>,
    draft: Draft,
    profile: UserProfile,
    now: number,
  ): Promise<void> {
    const period = periodOf(profile.limits, policy)
    if (period === periodOf(draft.profile.limits, policy)) return
    const { startAt } = policy.periodAt(period, now)
    for (const quota of draft.quotas.values()) {
      const pending = draft.adjustments.filter(({ family }) => family === quota.family)
      const booked = await countUsedSince(trx, draft.id, quota.family, startAt)
      quota.extra = viewQuota(draft.profile, quota.family, toQuotaState(quota), policy, now).extra
      quota.used = pending.reduce((sum, { units }) => sum + units, booked)
      quota.period_started_at = startAt
      // A count that was lowered in the longer period may have taken out what was used before the shorter one.
      const entry = quota.used < 0 && adjustUsed(quota, 0, { instance, route: routes.edit, now })
      if (entry) draft.adjustments.push(entry)
      draft.quotasChanged.add(quota.family)
    }
  }

  /** Answers what is wrong with it, which only the stored quotas can tell. */
  function applyEdit(
    draft: Draft,
    edit: UserEdit,
    profile: UserProfile,
    now: number,
    isSecond: boolean,
  ): readonly Issue[] {
    const before = draft.isNew && !isSecond ? [] : draft.profile.addresses
    if (before.join(' ') !== profile.addresses.join(' ')) draft.addressesChanged = true
    draft.profile = profile
    if (!draft.isNew && !isSecond && !isUpkeep(edit)) draft.revision += 1
    for (const [family, limit] of Object.entries(edit.quotaLimits ?? {})) {
      const quota = quotaOf(draft, family)
      if (quota.quota_limit === limit) continue
      quota.quota_limit = limit
      draft.quotasChanged.add(family)
    }
    const reset = edit.quotaReset === 'all' ? [...draft.quotas.keys()] : (edit.quotaReset ?? [])
    for (const family of reset) setUsed(draft, family, 0, routes.reset, now)
    for (const [family, used] of Object.entries(edit.quotaUsed ?? {}))
      setUsed(draft, family, used, routes.edit, now)
    return Object.entries(edit.quotaExtra ?? {}).flatMap(([family, units]) =>
      addExtra(draft, family, units, now),
    )
  }

  function quotaOf(draft: Draft, family: string): QuotaRow {
    const known = draft.quotas.get(family)
    if (known) return known
    const made = emptyQuota(draft.id, family)
    draft.quotas.set(family, made)
    return made
  }

  function viewOf(draft: Draft, family: string, now: number) {
    const stored = draft.quotas.get(family)
    return viewQuota(draft.profile, family, stored && toQuotaState(stored), policy, now)
  }

  /** A family's quota in the period that `now` lies in, about to be changed. */
  function currentQuota(draft: Draft, family: string, now: number): QuotaRow {
    const quota = quotaOf(draft, family)
    rollQuota(quota, policy.periodAt(periodOf(draft.profile.limits, policy), now).startAt)
    draft.quotasChanged.add(family)
    return quota
  }

  function setUsed(draft: Draft, family: string, used: number, route: string, now: number): void {
    if (viewOf(draft, family, now).used === used) return
    const entry = adjustUsed(currentQuota(draft, family, now), used, { instance, route, now })
    if (entry) draft.adjustments.push(entry)
  }

  function addExtra(draft: Draft, family: string, units: number, now: number): readonly Issue[] {
    const path = `quotaExtra.${family}`
    const { limit, extra: before } = viewOf(draft, family, now)
    if (limit === undefined) return [{ path, message: 'has no limit that could be added to' }]
    const extra = before + units
    if (extra < 0) return [{ path, message: `only ${before} were added in this period` }]
    if (!Number.isSafeInteger(limit + units))
      return [{ path, message: 'would come to more than can be counted' }]
    if (units !== 0) currentQuota(draft, family, now).extra = extra
    return []
  }

  async function add(
    trx: Transaction<Schema>,
    ref: UserRef,
    { family, units }: QuotaAddition,
    now: number,
    repeat: Repeat | undefined,
  ): Promise<QuotaAdded> {
    const before = repeat && (await repeatedUser(trx, vault, repeat, now))
    if (before?.kind === 'other') return { kind: 'conflict' }
    if (before) return { kind: 'added', user: before.user, repeated: true }
    const draft = (await loadDrafts(trx, [{ ref, edit: {} }])).get(keyOf(ref))
    if (!draft) return { kind: 'unknown' }
    if (viewOf(draft, family, now).limit === undefined) return { kind: 'unlimited', type: draft.profile.type }
    const result = await write(trx, [{ ref, edit: { quotaExtra: { [family]: units } } }], now)
    if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
    const user = result.kind === 'written' ? result.users[0] : undefined
    if (!user) throw new Error(`a known user was not written but ${result.kind}`)
    if (repeat) await rememberUser(trx, vault, repeat, user, now)
    return { kind: 'added', user, repeated: false }
  }

  async function save(trx: Transaction<Schema>, drafts: readonly Draft[], now: number): Promise<void> {
    for (const chunk of chunksOf(drafts, usersAtOnce)) {
      await saveProfiles(
        trx,
        chunk.map((draft) => toColumns(draft.profile, draft, draft.revision)),
      )
      const quotas = chunk.flatMap((draft) =>
        [...draft.quotasChanged].flatMap((family) => draft.quotas.get(family) ?? []),
      )
      await saveQuotas(trx, quotas)
      await saveAdjustments(
        trx,
        chunk.flatMap((draft) => draft.adjustments),
      )
    }
    for (const draft of drafts) {
      if (draft.addressesChanged) await replaceAddresses(trx, draft, now)
    }
  }

  return {
    writeUsers: (writes, now) =>
      inTransaction(
        db,
        (trx) => write(trx, writes, now),
        (result) => result.kind === 'written',
      ),

    insertUser: (edit, now, repeat) =>
      inTransaction<UserCreated>(
        db,
        async (trx) => {
          const before = repeat && (await repeatedUser(trx, vault, repeat, now))
          if (before?.kind === 'other') return { kind: 'conflict' }
          if (before) return { kind: 'created', user: before.user, repeated: true }
          const result = await write(trx, [{ ref: { accessToken: createAccessToken() }, edit }], now)
          if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
          const user = result.kind === 'written' ? result.users[0] : undefined
          if (!user) throw new Error(`a new user was not written but ${result.kind}`)
          if (repeat) await rememberUser(trx, vault, repeat, user, now)
          return { kind: 'created', user, repeated: false }
        },
        (result) => result.kind === 'created',
      ),

    addToQuota: (ref, addition, now, repeat) =>
      inTransaction(
        db,
        (trx) => add(trx, ref, addition, now, repeat),
        (result) => result.kind === 'added',
      ),

    resetUsers: createUsageReset(db, policy, instance),

    disableUser: (ref, reason, now) =>
      db.transaction().execute(async (trx) => {
        const query = trx.selectFrom('users').selectAll().forUpdate()
        const row = await ('id' in ref
          ? query.where('id', '=', ref.id)
          : query.where('lookup', '=', keyOf(ref))
        ).executeTakeFirst()
        if (!row) return undefined
        const current = toProfile(row, [])
        await write(trx, [{ ref: { id: row.id }, edit: disableEdit(current, reason, now) }], now)
        return row.id
      }),
  }
}

/** Whether an edit only looks after quotas: the user's version is over what is edited, not over the counters. */
function isUpkeep(edit: UserEdit): boolean {
  const names = Object.keys(edit)
  return names.length > 0 && names.every((name) => name === 'quotaReset' || name === 'quotaExtra')
}

/** Runs in a transaction, and takes it back where the result says that nothing may have been changed. */
async function inTransaction<T>(
  db: Kysely<Schema>,
  work: (trx: Transaction<Schema>) => Promise<T>,
  keeps: (result: T) => boolean,
): Promise<T> {
  const trx = await db.startTransaction().execute()
  try {
    const result = await work(trx)
    await (keeps(result) ? trx.commit() : trx.rollback()).execute()
    return result
  } catch (error) {
    await trx.rollback().execute()
    throw error
  }
}

async function rowsById(trx: Transaction<Schema>, ids: readonly string[]): Promise<readonly StoredUser[]> {
  const rows: StoredUser[] = []
  for (const chunk of chunksOf(ids, usersAtOnce)) {
    rows.push(...(await trx.selectFrom('users').selectAll().where('id', 'in', chunk).execute()))
  }
  return rows
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

/** Keeps when an address was last seen where it was there before; the order is the given one. */
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
