import type pg from 'pg'
import type { Policy } from '#core/admission.ts'
import type { AdmissionAsk } from '#core/admission-ask.ts'
import { UNLIMITED } from '#core/user.ts'
import { digestLookupsOf, type Vault } from '#core/vault.ts'
import { toLoadedUser, toOpenEntry, toSeenAddress, type Values } from '#storage/ledger/rows.ts'
import type { LoadedState, LoadedUser, OpenEntry, SeenAddress } from '#storage/ledger/state.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { toLoadedQuota } from '#storage/quotas/rows.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { MeteringBatch } from '#storage/store/metering.ts'
import { addUpReserved, isPlausible } from '#storage/users/reserved.ts'
import { arrayOf } from './many.ts'
import { beginOn } from './session.ts'
import { select } from './statements.ts'
import { together } from './together.ts'

/** Reads what a batch is about, and locks its users. */
export type Load = (client: pg.Client, batch: MeteringBatch) => Promise<Loaded>

/** Users whose ids are cached. */
const knownMax = 50_000

export function createLoad(vault: Vault, policy: Policy): Load {
  /** A cache from look-up keys to ids of users seen here. It is only a hint: a user may be gone by now. */
  const known = new Map<string, string>()
  /** The same of access tokens that are accepted beside the present one of their user. */
  const knownOthers = new Map<string, string>()
  const placesOfAsks = (policy.defaults.maxIps ?? UNLIMITED) === UNLIMITED ? 'ownLimit' : 'anyLimit'

  async function load(client: pg.Client, batch: MeteringBatch): Promise<Loaded> {
    const { settlements, asks, events = [] } = batch
    const questions = [...asks, ...events]
    const places = asks.length > 0 ? placesOfAsks : 'none'
    const lookups = new Map(
      questions.flatMap(({ accessToken }) =>
        accessToken === undefined ? [] : [[accessToken, vault.lookupOf(accessToken)] as const],
      ),
    )
    const wanted = [...new Set(lookups.values())]
    const others = otherLookups(vault, lookups.keys())
    const ids = new Set([
      ...(await ownersOf(client, batch)),
      ...questions.flatMap(({ userId }) => userId ?? []),
      ...asks.flatMap(peopleOf),
      ...wanted.flatMap((lookup) => known.get(lookup) ?? knownOthers.get(lookup) ?? []),
    ])
    const strange = new Set(wanted.filter((lookup) => !known.has(lookup)))
    const toSought = (some: ReadonlySet<string>) => soughtTokens(vault, lookups, some, others)
    const nothing: Promise<readonly Values[]> = Promise.resolve([])
    const [, account, entries, counted, olds] = await together([
      client.query(beginOn(client)),
      accountsOf(client, withOthers([...strange], others), [...ids], places),
      settlements.length > 0
        ? select(client, 'entries', [arrayOf(settlements.map(({ requestId }) => requestId))])
        : nothing,
      events.length > 0 ? select(client, 'events', [arrayOf(events.map(({ eventId }) => eventId))]) : nothing,
      strange.size > 0 ? otherTokensOf(client, toSought(strange), batch.now) : noTokens,
    ])
    const found = new Set(account.users.map((row) => presentOf(text(row.at(-1)), others)))
    // A user who was removed and created again has another id.
    const changed = wanted.filter((lookup) => !strange.has(lookup) && !found.has(lookup))
    const [more, moreOlds] =
      changed.length > 0
        ? await together([
            accountsOf(client, withOthers(changed, others), [], places),
            otherTokensOf(client, toSought(new Set(changed)), batch.now),
          ])
        : [noAccounts, noTokens]
    const old = [...olds, ...moreOlds]
    const loaded = new Set([...account.users, ...more.users].map((row) => text(row[0])))
    const owners = [...new Set(old.map(({ userId }) => userId))].filter((id) => !loaded.has(id))
    const before = owners.length > 0 ? await accountsOf(client, [], owners, places) : noAccounts
    const accounts = [account, more, before]
    const users = accounts.flatMap((one) => one.users)
    remember(users, changed, others)
    if (known.size + knownOthers.size > knownMax) knownOthers.clear()
    for (const { lookup, userId } of old) knownOthers.set(lookup, userId)
    return toLoaded({
      ...{ users, entries, counted, lookups, others, old },
      quotas: accounts.flatMap((one) => one.quotas),
      places: accounts.flatMap((one) => one.places),
    })
  }

  function remember(users: readonly Values[], changed: readonly string[], others: Others): void {
    for (const lookup of changed) known.delete(lookup)
    if (known.size > knownMax) known.clear()
    for (const row of users) known.set(presentOf(text(row.at(-1)), others), text(row[0]))
  }

  return load
}

async function ownersOf(client: pg.Client, { settlements }: MeteringBatch): Promise<readonly string[]> {
  const strange = settlements.flatMap(({ requestId, opened }) => (opened ? [] : [requestId]))
  const ours = settlements.flatMap(({ opened }) => {
    if (!opened) return []
    return opened.frontEndId === undefined ? opened.userId : [opened.userId, opened.frontEndId]
  })
  if (strange.length === 0) return ours
  const rows = await select(client, 'owners', [arrayOf(strange)])
  return [...ours, ...rows.flatMap((row) => row.flatMap((id) => optional(id, text) ?? []))]
}

/** A front end that has an old access token is named by its id as well, so that it is locked in the order of the ids. */
function peopleOf({ person }: AdmissionAsk): readonly string[] {
  if (typeof person !== 'object') return []
  return person.userId === undefined ? [person.frontEndId] : [person.frontEndId, person.userId]
}

/** Locks users and reads what belongs to them. The users are named by look-up keys, or by ids. */
async function accountsOf(
  client: pg.Client,
  lookups: readonly string[],
  ids: readonly string[],
  places: Places,
): Promise<Accounts> {
  const whose = [arrayOf(lookups), arrayOf(ids)]
  const [users, quotas, strangeQuotas, seen] = await together([
    select(client, 'users', whose),
    select(client, 'quotas', [arrayOf(ids)]),
    lookups.length > 0 ? select(client, 'strangeQuotas', [arrayOf(lookups)]) : [],
    places === 'none' ? [] : select(client, 'addresses', [...whose, places === 'anyLimit']),
  ])
  // The quotas of a user who is named in both ways were read twice.
  const named = new Set(ids)
  const all = [...quotas, ...strangeQuotas.filter((row) => !named.has(text(row[0])))]
  return { users, quotas: await plausible(client, all), places: seen }
}

async function plausible(client: pg.Client, quotas: readonly Values[]): Promise<readonly Values[]> {
  const odd = quotas.flatMap((row) => (isPlausible(integer(row[4]), integer(row[5])) ? [] : [text(row[0])]))
  if (odd.length === 0) return quotas
  await client.query(`${addUpReserved} where user_id = any($1::text[])`, [arrayOf(odd)])
  const again = await select(client, 'quotas', [arrayOf(odd)])
  return [...quotas.filter((row) => !odd.includes(text(row[0]))), ...again]
}

/** The users whose addresses are read: none, those with a limit of their own, or those whom any limit holds. */
type Places = 'none' | 'ownLimit' | 'anyLimit'

/** Hashes under the other master key, while one is being replaced, and those under the present one. */
type Others = ReadonlyMap<string, string>
const none: Others = new Map()

function otherLookups({ lookupOf, otherLookupOf }: Vault, accessTokens: Iterable<string>): Others {
  if (!otherLookupOf) return none
  return new Map([...accessTokens].map((each) => [otherLookupOf(each), lookupOf(each)]))
}

/** The hash under the present master key of one that was read. */
function presentOf(lookup: string, others: Others): string {
  return others.get(lookup) ?? lookup
}

function withOthers(lookups: readonly string[], others: Others): readonly string[] {
  if (others.size === 0) return lookups
  const wanted = new Set(lookups)
  return [...lookups, ...[...others].flatMap(([other, present]) => (wanted.has(present) ? [other] : []))]
}

/**
 * An access token that is accepted beside the present one of its user, by its hash under the present master key: that
 * before a rotation, or one of which only the SHA-256 is known.
 */
interface OtherToken {
  readonly lookup: string
  readonly userId: string
  /** Null for as long as the user. */
  readonly until: number | null
}

/** What such tokens are looked for by. */
interface SoughtTokens {
  readonly lookups: readonly string[]
  readonly others: Others
  /** The hashes of their SHA-256, and the hashes under the present master key. */
  readonly digests: Others
}

function soughtTokens(
  vault: Vault,
  lookups: ReadonlyMap<string, string>,
  some: ReadonlySet<string>,
  others: Others,
): SoughtTokens {
  const digests = new Map<string, string>()
  for (const [accessToken, lookup] of lookups)
    if (some.has(lookup))
      for (const digest of digestLookupsOf(vault, accessToken)) digests.set(digest, lookup)
  return { lookups: withOthers([...some], others), others, digests }
}

async function otherTokensOf(
  client: pg.Client,
  { lookups, others, digests }: SoughtTokens,
  now: number,
): Promise<readonly OtherToken[]> {
  const rows = await select(client, 'otherTokens', [arrayOf(lookups), now, arrayOf([...digests.keys()])])
  return rows.map((row) => {
    const hmac = text(row[0])
    const lookup = digests.get(hmac) ?? presentOf(hmac, others)
    return { lookup, userId: text(row[1]), until: optional(row[2], integer) }
  })
}

const noTokens: readonly OtherToken[] = []
const noAccounts: Accounts = { users: [], quotas: [], places: [] }

interface Accounts {
  readonly users: readonly Values[]
  readonly quotas: readonly Values[]
  readonly places: readonly Values[]
}

interface Loaded {
  readonly state: LoadedState
  readonly users: readonly LoadedUser[]
  /** Every request with an id below it stands in the table by user. */
  readonly below: string
}

function toLoaded(rows: {
  readonly users: readonly Values[]
  readonly quotas: readonly Values[]
  readonly entries: readonly Values[]
  readonly counted: readonly Values[]
  readonly places: readonly Values[]
  readonly lookups: ReadonlyMap<string, string>
  readonly others: Others
  readonly old: readonly OtherToken[]
}): Loaded {
  const quotas = Map.groupBy(rows.quotas, (row) => text(row[0]))
  const places = Map.groupBy(rows.places, (row) => text(row[0]))
  const quotasOf = (id: string): LoadedQuota[] =>
    (quotas.get(id) ?? []).map((row) => toLoadedQuota(row.slice(1)))
  const placesOf = (id: string): SeenAddress[] =>
    (places.get(id) ?? []).map((row) => toSeenAddress(row.slice(1)))
  const users = new Map<string, LoadedUser>()
  const byLookup = new Map<string, LoadedUser>()
  for (const row of rows.users) {
    const id = text(row[0])
    const user = toLoadedUser(id, id, row, quotasOf(id), () => placesOf(id))
    users.set(id, user)
    byLookup.set(presentOf(text(row.at(-1)), rows.others), user)
  }
  const oldUntil = new Map<string, number>()
  for (const { lookup, userId, until } of rows.old) {
    const user = users.get(userId)
    if (!user || byLookup.has(lookup)) continue
    byLookup.set(lookup, user)
    if (until !== null) oldUntil.set(lookup, until)
  }
  const entries = new Map<string, OpenEntry | 'closed'>(
    rows.entries.map((row) => [text(row[0]), toOpenEntry(text(row[0]), row.slice(1))]),
  )
  const counted = new Set(rows.counted.map((row) => text(row[0])))
  return {
    users: [...users.values()],
    // Read in the transaction that writes, before it writes: upkeep gathers no request that began later.
    below: text(rows.users[0]?.at(-2) ?? ''),
    state: {
      userOf: (accessToken) => byLookup.get(rows.lookups.get(accessToken) ?? ''),
      oldUntilOf: (accessToken) =>
        oldUntil.size === 0 ? undefined : oldUntil.get(rows.lookups.get(accessToken) ?? ''),
      userById: (id) => users.get(id),
      entryOf: (requestId) => entries.get(requestId),
      hasEvent: (eventId) => counted.has(eventId),
    },
  }
}
