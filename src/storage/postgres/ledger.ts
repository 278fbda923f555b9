import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Policy } from '#core/admission.ts'
import { UNLIMITED } from '#core/user.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import {
  applyBatch,
  type LoadedQuota,
  type LoadedState,
  type LoadedUser,
  type MeteringDecisions,
  type OpenEntry,
  type SeenAddress,
} from '#storage/ledger/batch.ts'
import {
  entryColumns,
  quotaColumns,
  toLoadedQuota,
  toLoadedUser,
  toOpenEntry,
  toSeenAddress,
  userColumns,
  type Values,
} from '#storage/ledger/rows.ts'
import { belowName } from '#storage/ledger/user-requests.ts'
import { createWriteList, type WriteList, type WriteTarget } from '#storage/ledger/write-list.ts'
import { ofEachWrite, type WriteName, writes } from '#storage/ledger/writes.ts'
import { announceOn } from '#storage/postgres/channel/announce.ts'
import { integer, text } from '#storage/schema/columns.ts'
import { addUpReserved, isPlausible } from '#storage/users/reserved.ts'
import type { MeteringBatch } from '../store.ts'
import { arrayOf, columnsOf, insertMany, updateMany } from './many.ts'
import { beginOn, nameOn } from './session.ts'
import { together } from './together.ts'

/**
 * The ledger on PostgreSQL: one batch is one transaction of two round trips. The first locks the batch's users in the
 * order of their ids and reads everything that belongs to them. The second writes what changed and commits. Every
 * change to a user's account, here or by an administrator, is made under the lock of the user's row.
 */
export interface PostgresLedger extends Pick<WriteList, 'forgetAddresses' | 'listModels'> {
  /**
   * The first round trip: begins the transaction, locks, reads and decides. It returns the second one, which writes
   * and commits. Where the second fails without an answer, the batch may have been committed; before it nothing has
   * been.
   */
  readonly begin: (client: pg.Client, batch: MeteringBatch) => Promise<() => Promise<MeteringDecisions>>
}

/** Users whose ids are cached. */
const knownMax = 50_000
/** The rows of each total are split into shards, so that instances do not wait for each other's locks. */
const shards = 1024

/** The users of a batch. */
const theirs = 'u.lookup = any($1::text[]) or u.id = any($2::text[])'

/**
 * A plan that was made while a table was small would scan all of it for ever after, so such plans are ruled out. What
 * belongs to users is looked up user by user, and `offset 0` keeps the planner from reversing that. Users are sorted
 * by `id || ''`, which no index holds, so that the planner does not walk an index to sort them.
 */
export const statements = {
  owners: 'select id, user_id from entries where id = any($1::text[])',
  users: `select ${userColumns}, (select value from facts where name = '${belowName}'), lookup from users u where ${theirs} order by id || '' for update`,
  quotas: `select user_id, ${quotaColumns} from quotas where user_id = any($1::text[])`,
  strangeQuotas: `select u.id, q.* from users u
    cross join lateral (select ${quotaColumns} from quotas where user_id = u.id offset 0) as q
    where u.lookup = any($1::text[])`,
  entries: `select id, ${entryColumns} from entries where id = any($1::text[])`,
  events: 'select id from usage_events where id = any($1::text[])',
  addresses: `select u.id, a.* from users u
    cross join lateral (select address, last_seen_at from addresses where user_id = u.id offset 0) as a
    where (${theirs}) and (u.max_ips <> ${UNLIMITED} or (u.max_ips is null and $3::boolean))`,
  ...ofEachWrite(({ table, columns, key, more }) =>
    key.length === 0
      ? `${insertMany(table, columns)} ${more}`
      : updateMany(table, columns, key, more === '' ? '' : `, ${more}`),
  ),
  trim: `delete from addresses where (user_id, address) in (
    select user_id, address from (
      select user_id, address, row_number() over (partition by user_id order by first_seen_at desc, address) as place
      from addresses where user_id = any($1::text[])) as placed
    where place > ${addressesMax})`,
} as const

/**
 * Each name contains a digest of its text: behind a pooler another version of the program may have prepared a
 * different text under the same name.
 */
const names = Object.fromEntries(
  Object.entries(statements).map(([name, text]) => [
    name,
    `${name} ${createHash('sha256').update(text).digest('hex').slice(0, 12)}`,
  ]),
) as Readonly<Record<keyof typeof statements, string>>

/** @param settings.shard the shard of the totals that this instance writes to */
export function createPostgresLedger(
  vault: Vault,
  policy: Policy,
  settings: { readonly instance: string; readonly shard: number },
): PostgresLedger {
  const { writeTo, forgetAddresses, listModels } = createWriteList(
    policy,
    settings.instance,
    settings.shard % shards,
  )
  /** A cache from look-up keys to ids of users seen here. It is only a hint: a user may be gone by now. */
  const known = new Map<string, string>()
  const isPlaceLimited = (policy.defaults.maxIps ?? UNLIMITED) !== UNLIMITED

  async function ownersOf(client: pg.Client, { settlements }: MeteringBatch): Promise<readonly string[]> {
    const strange = settlements.flatMap(({ requestId, opened }) => (opened ? [] : [requestId]))
    const ours = settlements.flatMap(({ opened }) => opened?.userId ?? [])
    if (strange.length === 0) return ours
    const rows = await select(client, 'owners', [arrayOf(strange)])
    return [...ours, ...rows.map((row) => text(row[1]))]
  }

  async function load(client: pg.Client, batch: MeteringBatch): Promise<Loaded> {
    const { settlements, asks, events = [] } = batch
    const questions = [...asks, ...events]
    const lookups = new Map(
      questions.flatMap(({ accessToken }) =>
        accessToken === undefined ? [] : [[accessToken, vault.lookupOf(accessToken)] as const],
      ),
    )
    const wanted = [...new Set(lookups.values())]
    const ids = new Set([
      ...(await ownersOf(client, batch)),
      ...questions.flatMap(({ userId }) => userId ?? []),
      ...wanted.flatMap((lookup) => known.get(lookup) ?? []),
    ])
    const strange = new Set(wanted.filter((lookup) => !known.has(lookup)))
    const nothing: Promise<readonly Values[]> = Promise.resolve([])
    const [, account, entries, counted] = await together([
      client.query(beginOn(client)),
      accountsOf(client, [...strange], [...ids], asks.length > 0),
      settlements.length > 0
        ? select(client, 'entries', [arrayOf(settlements.map(({ requestId }) => requestId))])
        : nothing,
      events.length > 0 ? select(client, 'events', [arrayOf(events.map(({ eventId }) => eventId))]) : nothing,
    ])
    const found = new Set(account.users.map((row) => text(row.at(-1))))
    // A user who was removed and created again has another id.
    const changed = wanted.filter((lookup) => !strange.has(lookup) && !found.has(lookup))
    const more = changed.length > 0 && (await accountsOf(client, changed, [], asks.length > 0))
    const accounts = more ? [account, more] : [account]
    const users = accounts.flatMap((one) => one.users)
    remember(users, changed)
    return toLoaded({
      ...{ users, entries, counted, lookups },
      quotas: accounts.flatMap((one) => one.quotas),
      places: accounts.flatMap((one) => one.places),
    })
  }

  /** Locks users and reads what belongs to them. The users are named by look-up keys, or by ids. */
  async function accountsOf(
    client: pg.Client,
    lookups: readonly string[],
    ids: readonly string[],
    withPlaces: boolean,
  ): Promise<Accounts> {
    const whose = [arrayOf(lookups), arrayOf(ids)]
    const [users, quotas, strangeQuotas, places] = await together([
      select(client, 'users', whose),
      select(client, 'quotas', [arrayOf(ids)]),
      lookups.length > 0 ? select(client, 'strangeQuotas', [arrayOf(lookups)]) : [],
      withPlaces ? select(client, 'addresses', [...whose, isPlaceLimited]) : [],
    ])
    // The quotas of a user who is named in both ways were read twice.
    const named = new Set(ids)
    const all = [...quotas, ...strangeQuotas.filter((row) => !named.has(text(row[0])))]
    return { users, quotas: await plausible(client, all), places }
  }

  async function plausible(client: pg.Client, quotas: readonly Values[]): Promise<readonly Values[]> {
    const odd = quotas.flatMap((row) => (isPlausible(integer(row[4]), integer(row[5])) ? [] : [text(row[0])]))
    if (odd.length === 0) return quotas
    await client.query(`${addUpReserved} where user_id = any($1::text[])`, [arrayOf(odd)])
    const again = await select(client, 'quotas', [arrayOf(odd)])
    return [...quotas.filter((row) => !odd.includes(text(row[0]))), ...again]
  }

  function remember(users: readonly Values[], changed: readonly string[]): void {
    for (const lookup of changed) known.delete(lookup)
    if (known.size > knownMax) known.clear()
    for (const row of users) known.set(text(row.at(-1)), text(row[0]))
  }

  return {
    async begin(client, batch) {
      const { state, users, below } = await load(client, batch)
      const { decisions, changes } = applyBatch(batch, state, policy)
      return async () => {
        try {
          await write(client, (target) => writeTo(target, changes, users, below, batch.now))
        } catch (error) {
          forgetAddresses()
          throw error
        }
        return decisions
      }
    },
    forgetAddresses,
    listModels,
  }
}

/** All writes are sent at once, and the commit behind them: none depends on another's answer. */
function write(client: pg.Client, writeTo: (target: WriteTarget) => void): Promise<unknown> {
  const rows = new Map<WriteName, Values[]>()
  const strangers = new Set<string>()
  const gather = (name: WriteName, row: Values) => {
    const known = rows.get(name)
    if (known) known.push(row)
    else rows.set(name, [row])
  }
  writeTo({
    write: gather,
    writeAddress({ userId, address, due }, now) {
      gather('address', [userId, address, now, now])
      if (due === 'new') strangers.add(userId)
    },
  })
  // Nothing is sent before every statement has been built.
  const built = [...rows].map(
    ([name, those]) => [name, columnsOf(those, writes[name].columns.length)] as const,
  )
  const blocked = (rows.get('block') ?? []).map((row) => text(row.at(-1)))
  return together([
    ...built.map(([name, values]) => execute(client, name, values)),
    ...(strangers.size > 0 ? [execute(client, 'trim', [arrayOf([...strangers])])] : []),
    ...(blocked.length > 0 ? [announceOn(client, blocked)] : []),
    client.query('commit'),
  ])
}

async function select(
  client: pg.Client,
  name: keyof typeof statements,
  values: readonly unknown[],
): Promise<readonly Values[]> {
  const { rows } = await execute(client, name, values)
  return rows
}

function execute(
  client: pg.Client,
  name: keyof typeof statements,
  values: readonly unknown[],
): Promise<pg.QueryArrayResult<unknown[]>> {
  const text = statements[name]
  const under = nameOn(client, names[name])
  return client.query<unknown[]>({
    ...(under !== undefined && { name: under }),
    text,
    values: [...values],
    rowMode: 'array',
  })
}

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
    byLookup.set(text(row.at(-1)), user)
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
      userById: (id) => users.get(id),
      entryOf: (requestId) => entries.get(requestId),
      hasEvent: (eventId) => counted.has(eventId),
    },
  }
}
