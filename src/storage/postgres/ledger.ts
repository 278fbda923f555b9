import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Policy } from '#core/admission.ts'
import { addUnits } from '#core/units.ts'
import { UNLIMITED } from '#core/user.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import { createAddressBook } from '#storage/ledger/address-book.ts'
import {
  applyBatch,
  type LedgerChanges,
  type LoadedQuota,
  type LoadedState,
  type LoadedUser,
  type MeteringDecisions,
  type OpenEntry,
  type SeenAddress,
} from '#storage/ledger/batch.ts'
import { createReportedNames, type ReportedNames } from '#storage/ledger/reported-models.ts'
import { type RollUp, rollUpsOf } from '#storage/ledger/roll-ups.ts'
import {
  addingUsage,
  addingWeighed,
  bookedColumns,
  closedColumns,
  entryColumns,
  openedColumns,
  quotaColumns,
  quotaValueColumns,
  toBookedAdjustment,
  toBookedBeside,
  toBookedEvent,
  toClosedValues,
  toLoadedQuota,
  toLoadedUser,
  toOpenEntry,
  toOpenedValues,
  toSeenAddress,
  toUsageValues,
  toWeighedValues,
  usageColumns,
  userColumns,
  type Values,
  weighedColumns,
} from '#storage/ledger/rows.ts'
import { belowName, lateRequests } from '#storage/ledger/user-requests.ts'
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
export interface PostgresLedger {
  /**
   * The first round trip: begins the transaction, locks, reads and decides. It returns the second one, which writes
   * and commits. Where the second fails without an answer, the batch may have been committed; before it nothing has
   * been.
   */
  readonly begin: (client: pg.Client, batch: MeteringBatch) => Promise<() => Promise<MeteringDecisions>>
  /** Call it when addresses were written elsewhere. */
  readonly forgetAddresses: () => void
  readonly listModels: ReportedNames['list']
}

const hourMs = 3_600_000
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
  open: insertMany('entries', openedColumns),
  book: insertMany('entries', bookedColumns),
  late: `${insertMany('user_requests', ['user_id', 'id'])} on conflict do nothing`,
  close: updateMany('entries', closedColumns, ['id'], ', lease_until = null'),
  event: insertMany('usage_events', ['id', 'counted_at']),
  user: updateMany('users', ['arrival_at', 'last_used_at', 'prompt_count', 'id'], ['id']),
  block: updateMany('users', ['disabled_at', 'disabled_reason', 'id'], ['id'], ', revision = revision + 1'),
  // Updating an existing row costs half of an upsert.
  quota: updateMany('quotas', quotaValueColumns, ['user_id', 'family']),
  newQuota: insertMany('quotas', quotaValueColumns),
  minute: `${insertMany('usage_minutes', ['user_id', 'minute_at', ...usageColumns])}
    ${addingUsage('usage_minutes', ['user_id', 'minute_at'])}`,
  totalMinute: `${insertMany('total_minutes', ['minute_at', 'shard', ...usageColumns])}
    ${addingUsage('total_minutes', ['minute_at'], ['shard'])}`,
  totalHour: `${insertMany('total_hours', ['hour_at', 'shard', ...usageColumns])}
    ${addingUsage('total_hours', ['hour_at'], ['shard'])}`,
  weighedMinute: `${insertMany('usage_minutes', ['user_id', 'minute_at', ...weighedColumns])}
    ${addingWeighed('usage_minutes', ['user_id', 'minute_at'])}`,
  weighedTotalMinute: `${insertMany('total_minutes', ['minute_at', 'shard', ...weighedColumns])}
    ${addingWeighed('total_minutes', ['minute_at'], ['shard'])}`,
  weighedTotalHour: `${insertMany('total_hours', ['hour_at', 'shard', ...weighedColumns])}
    ${addingWeighed('total_hours', ['hour_at'], ['shard'])}`,
  address: `${insertMany('addresses', ['user_id', 'address', 'first_seen_at', 'last_seen_at'])}
    on conflict (user_id, address) do update set last_seen_at = excluded.last_seen_at`,
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
  const addresses = createAddressBook()
  const reportedNames = createReportedNames(policy)
  const shard = settings.shard % shards
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

  /** All writes are sent at once: none depends on another's answer. */
  function write(client: pg.Client, loaded: Loaded, changes: LedgerChanges, now: number): Promise<unknown> {
    const { instance } = settings
    const writes: (() => Promise<unknown>)[] = []
    const run = (name: keyof typeof statements, columns: readonly string[], rows: readonly Values[]) => {
      if (rows.length === 0) return
      const values = columnsOf(rows, columns.length)
      writes.push(() => execute(client, name, values))
    }
    const users = [...loaded.users.values()]
    const booked = [
      ...changes.beside.map((one) => toBookedBeside(one, instance)),
      ...changes.counted.map((counted) => toBookedEvent(counted, instance)),
      ...changes.adjusted.map((adjusted) => toBookedAdjustment(adjusted, instance)),
    ]
    const { users: minutes, totals } = rollUpsOf(changes, reportedNames.of, now)
    const due = changes.seen.map((seen) => ({ seen, due: addresses.due(seen, now) }))
    const seen = due.filter((one) => one.due !== undefined)
    const strangers = [...new Set(due.flatMap((one) => (one.due === 'new' ? [one.seen.userId] : [])))]
    const blocked = users.filter(({ isBlocked }) => isBlocked)
    run(
      'open',
      openedColumns,
      changes.opened.map((entry) => toOpenedValues(entry, instance, now)),
    )
    run('close', closedColumns, changes.closed.map(toClosedValues))
    run('book', bookedColumns, booked)
    run('late', ['', ''], lateRequests(changes, loaded.below, now))
    run(
      'event',
      ['id', 'counted_at'],
      changes.counted.map(({ event }) => [event.eventId, now]),
    )
    run('user', ['', '', '', ''], users.filter(({ isChanged }) => isChanged).map(toUserValues))
    run(
      'block',
      ['', '', ''],
      blocked.map((user) => [user.disabledAt ?? now, user.disabledReason ?? null, user.id]),
    )
    run(
      'quota',
      quotaValueColumns,
      users.flatMap((user) => toQuotaValues(user, true)),
    )
    run(
      'newQuota',
      quotaValueColumns,
      users.flatMap((user) => toQuotaValues(user, false)),
    )
    // Rows without weights need no column for them; most instances write only such rows.
    const isWeighed =
      totals.some(({ weighing }) => weighing !== 0) || minutes.some(({ weighing }) => weighing !== 0)
    const [usage, valuesOf] = isWeighed ? [weighedColumns, toWeighedValues] : [usageColumns, toUsageValues]
    run(
      isWeighed ? 'weighedMinute' : 'minute',
      ['', '', ...usage],
      minutes.map((row) => [row.userId, row.minuteAt, ...valuesOf(row)]),
    )
    run(
      isWeighed ? 'weighedTotalMinute' : 'totalMinute',
      ['', '', ...usage],
      totals.map((row) => [row.minuteAt, shard, ...valuesOf(row)]),
    )
    run(
      isWeighed ? 'weighedTotalHour' : 'totalHour',
      ['', '', ...usage],
      [...totalsByHour(totals, shard, valuesOf)],
    )
    run(
      'address',
      ['', '', '', ''],
      uniqueAddresses(
        seen.map((one) => one.seen),
        now,
      ),
    )
    if (strangers.length > 0) writes.push(() => execute(client, 'trim', [arrayOf(strangers)]))
    if (blocked.length > 0)
      writes.push(() =>
        announceOn(
          client,
          blocked.map(({ id }) => id),
        ),
      )
    // Nothing is sent before every statement has been built.
    return together([...writes.map((send) => send()), client.query('commit')])
  }

  return {
    async begin(client, batch) {
      const loaded = await load(client, batch)
      const { decisions, changes } = applyBatch(batch, loaded.state, policy)
      return async () => {
        try {
          await write(client, loaded, changes, batch.now)
        } catch (error) {
          addresses.forget()
          throw error
        }
        return decisions
      }
    },
    forgetAddresses: addresses.forget,
    listModels: reportedNames.list,
  }
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
  readonly users: ReadonlyMap<string, LoadedUser>
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
    const user = toLoadedUser(id, row, quotasOf(id), () => placesOf(id))
    users.set(id, user)
    byLookup.set(text(row.at(-1)), user)
  }
  const entries = new Map<string, OpenEntry | 'closed'>(
    rows.entries.map((row) => [text(row[0]), toOpenEntry(text(row[0]), row.slice(1))]),
  )
  const counted = new Set(rows.counted.map((row) => text(row[0])))
  return {
    users,
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

function toUserValues(user: LoadedUser): Values {
  return [user.arrivalAt ?? null, user.lastUsedAt, user.promptCount, user.id]
}

function toQuotaValues(user: LoadedUser, isStored: boolean): Values[] {
  return [...user.quotas.values()].flatMap((quota) => {
    if (!quota.isChanged || quota.isStored !== isStored) return []
    const { family, extra, used, reserved, openRequests, periodStartedAt } = quota
    return [[extra, used, reserved, openRequests, periodStartedAt, user.id, family]]
  })
}

/** One statement may touch a row only once, so the minutes of an hour are added up first. */
function* totalsByHour(
  totals: readonly RollUp[],
  shard: number,
  valuesOf: (row: RollUp) => Values,
): Iterable<Values> {
  const rows = new Map<string, unknown[]>()
  for (const row of totals) {
    const hourAt = Math.floor(row.minuteAt / hourMs) * hourMs
    const values = valuesOf(row)
    const key = JSON.stringify([hourAt, ...values.slice(0, 4)])
    const known = rows.get(key)
    if (!known) rows.set(key, [hourAt, shard, ...values])
    else
      for (let at = 4; at < values.length; at++)
        known[at + 2] = addUnits(integer(known[at + 2]), integer(values[at]))
  }
  yield* rows.values()
}

function uniqueAddresses(
  seen: readonly { readonly userId: string; readonly address: string }[],
  now: number,
): Values[] {
  const rows = new Map(
    seen.map(({ userId, address }) => [`${userId} ${address}`, [userId, address, now, now]]),
  )
  return [...rows.values()]
}
