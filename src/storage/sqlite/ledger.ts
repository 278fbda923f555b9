import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Policy } from '#core/admission.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import { createSecretMemo, type SecretMemo } from '#lib/secret-memo.ts'
import { createAddressBook, isRecent } from '#storage/ledger/address-book.ts'
import {
  applyBatch,
  createPlaces,
  type LedgerChanges,
  type LoadedQuota,
  type LoadedState,
  type LoadedUser,
  type MeteringDecisions,
  type OpenEntry,
  type Seen,
} from '#storage/ledger/batch.ts'
import {
  createReportedNames,
  type ReportedName,
  type ReportedNames,
} from '#storage/ledger/reported-models.ts'
import { rollUpsOf } from '#storage/ledger/roll-ups.ts'
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
import { integer, text } from '#storage/schema/columns.ts'
import { addUpReserved, isPlausible } from '#storage/users/reserved.ts'
import type { MeteringBatch } from '../store.ts'
import { type CachedUser, type CachedUsers, createCachedUsers } from './cached-users.ts'
import { allRows, oneRow } from './rows.ts'

/**
 * The ledger on SQLite: loads what a batch is about, lets `applyBatch` decide, writes what changed; one
 * transaction, one sync to disk. Rows are read one by one through prepared statements, which costs less here
 * than one large statement, since there is no round trip to save.
 */
export interface SqliteLedger {
  readonly runBatch: (batch: MeteringBatch) => MeteringDecisions
  /** Call it when addresses were written elsewhere. */
  readonly forgetAddresses: () => void
  readonly listModels: ReportedNames['list']
}

const hourMs = 3_600_000

export function createSqliteLedger(
  db: DatabaseSync,
  vault: Vault,
  policy: Policy,
  instance: string,
): SqliteLedger {
  const sql = prepareAll(db)
  const addresses = createAddressBook()
  const reportedNames = createReportedNames(policy)

  /**
   * Entries that this process opened and has not closed yet, and that no other process may have changed. A settlement
   * of one of them needs no look-up.
   */
  const open = new Map<string, OpenEntry>()

  const cached = createCachedUsers()
  const lookups = createSecretMemo(vault.lookupOf)
  let version: unknown
  /** Every request with an id below it stands in the table by user. */
  let below = ''

  function runBatch(batch: MeteringBatch): MeteringDecisions {
    const loaded = createState(sql, lookups, open, cached)
    db.exec('begin immediate')
    try {
      forgetWhatOthersWrote()
      const { decisions, changes } = applyBatch(batch, loaded.state, policy)
      write(loaded, changes, batch.now)
      db.exec('commit')
      remember(changes, batch.now)
      for (const user of loaded.users()) cached.keep(user)
      return decisions
    } catch (error) {
      cached.forget()
      if (db.isTransaction) db.exec('rollback')
      addresses.forget()
      throw error
    }
  }

  /** Inside the transaction, so that no other connection writes between this check and the reads. */
  function forgetWhatOthersWrote(): void {
    const current = oneRow(sql.version)?.[0]
    if (current !== version) {
      cached.forget()
      open.clear()
      below = text(oneRow(sql.below)?.[0] ?? '')
    }
    version = current
  }

  function write(loaded: Loaded, changes: LedgerChanges, now: number): void {
    for (const entry of changes.opened) sql.insertEntry.run(...toOpenedValues(entry, instance, now))
    for (const closed of changes.closed) sql.closeEntry.run(...toClosedValues(closed))
    for (const booked of changes.beside) sql.insertBooked.run(...toBookedBeside(booked, instance))
    for (const counted of changes.counted) {
      sql.insertBooked.run(...toBookedEvent(counted, instance))
      sql.insertEvent.run(counted.event.eventId, now)
    }
    for (const late of lateRequests(changes, below, now)) sql.insertLate.run(...late)
    for (const adjusted of changes.adjusted) sql.insertBooked.run(...toBookedAdjustment(adjusted, instance))
    if (changes.closed.length > 0 || changes.counted.length > 0) addUsage(sql, changes, reportedNames.of, now)
    for (const { user, rowId } of loaded.users()) {
      if (user.isChanged) sql.updateUser.run(user.arrivalAt ?? null, user.lastUsedAt, user.promptCount, rowId)
      if (user.isBlocked) sql.blockUser.run(user.disabledAt ?? now, user.disabledReason ?? null, user.id)
      for (const quota of user.quotas.values()) {
        if (!quota.isChanged) continue
        const { family, extra, used, reserved, openRequests, periodStartedAt } = quota
        const written = quota.isStored ? sql.updateQuota : sql.insertQuota
        written.run(extra, used, reserved, openRequests, periodStartedAt, user.id, family)
        quota.isStored = true
        quota.isChanged = false
      }
    }
    for (const seen of changes.seen) {
      const due = addresses.due(seen, now)
      if (due) writeAddress(seen, due, now)
    }
  }

  function writeAddress({ userId, address }: Seen, due: 'new' | 'again', now: number): void {
    if (due === 'new') {
      // After a restart or an administrator's edit the memory is empty, but the address may be stored.
      const row = oneRow(sql.address, userId, address)
      if (row !== undefined && isRecent(integer(row[0]), now)) return
    }
    cached.forgetAddressesOf(userId)
    sql.sawAddress.run(userId, address, now, now)
    if (due === 'new' && integer(oneRow(sql.countAddresses, userId)?.[0]) > addressesMax)
      sql.trimAddresses.run(userId, addressesMax)
  }

  function remember(changes: LedgerChanges, now: number): void {
    for (const { ask, userId, family, model, hold, inputEstimate } of changes.opened) {
      const { requestId, isMetered, leaseUntil } = ask
      // An entry with a lease can be abandoned by another process at any time: it is not cached.
      if (leaseUntil !== undefined) continue
      open.set(requestId, {
        id: requestId,
        userId,
        family,
        model,
        isMetered,
        hold,
        inputEstimate,
        startedAt: now,
      })
    }
    for (const { entry } of changes.closed) open.delete(entry.id)
  }

  return {
    runBatch,
    forgetAddresses: addresses.forget,
    listModels: reportedNames.list,
  }
}

type Statements = ReturnType<typeof prepareAll>

function prepareAll(db: DatabaseSync) {
  const prepare = (source: string): StatementSync => {
    const statement = db.prepare(source)
    statement.setReturnArrays(true)
    return statement
  }
  return {
    // Changes with every commit of another connection, and with nothing else.
    version: prepare('pragma data_version'),
    userByLookup: prepare(`select lookup, rowid, ${userColumns} from users where lookup = ?`),
    userById: prepare(`select lookup, rowid, ${userColumns} from users where id = ?`),
    quotas: prepare(`select ${quotaColumns} from quotas where user_id = ?`),
    entry: prepare(`select ${entryColumns} from entries where id = ?`),
    event: prepare('select counted_at from usage_events where id = ?'),
    insertEntry: prepare(inserting('entries', openedColumns)),
    below: prepare(`select value from facts where name = '${belowName}'`),
    insertLate: prepare(`${inserting('user_requests', ['user_id', 'id'])} on conflict do nothing`),
    insertBooked: prepare(inserting('entries', bookedColumns)),
    insertEvent: prepare(inserting('usage_events', ['id', 'counted_at'])),
    closeEntry: prepare(
      `update entries set lease_until = null, ${closedColumns
        .slice(0, -1)
        .map((name) => `${name} = ?`)
        .join(', ')} where id = ?`,
    ),
    updateUser: prepare(
      'update users set arrival_at = ?, last_used_at = ?, prompt_count = ? where rowid = ?',
    ),
    blockUser: prepare(
      'update users set disabled_at = ?, disabled_reason = ?, revision = revision + 1 where id = ?',
    ),
    updateQuota: prepare(
      `update quotas set extra = ?, used = ?, reserved = ?, open_requests = ?, period_started_at = ?
       where user_id = ? and family = ?`,
    ),
    addUpReserved: prepare(`${addUpReserved} where user_id = ?`),
    insertQuota: prepare(inserting('quotas', quotaValueColumns)),
    addUserMinute: prepare(
      `${inserting('usage_minutes', ['user_id', 'minute_at', ...usageColumns])} ${addingUsage('usage_minutes', ['user_id', 'minute_at'])}`,
    ),
    // The shard stays at its default: on SQLite there is one writer at a time.
    addTotalMinute: prepare(
      `${inserting('total_minutes', ['minute_at', ...usageColumns])} ${addingUsage('total_minutes', ['minute_at'], ['shard'])}`,
    ),
    addTotalHour: prepare(
      `${inserting('total_hours', ['hour_at', ...usageColumns])} ${addingUsage('total_hours', ['hour_at'], ['shard'])}`,
    ),
    weighUserMinute: prepare(
      `${inserting('usage_minutes', ['user_id', 'minute_at', ...weighedColumns])} ${addingWeighed('usage_minutes', ['user_id', 'minute_at'])}`,
    ),
    weighTotalMinute: prepare(
      `${inserting('total_minutes', ['minute_at', ...weighedColumns])} ${addingWeighed('total_minutes', ['minute_at'], ['shard'])}`,
    ),
    weighTotalHour: prepare(
      `${inserting('total_hours', ['hour_at', ...weighedColumns])} ${addingWeighed('total_hours', ['hour_at'], ['shard'])}`,
    ),
    addresses: prepare('select address, last_seen_at from addresses where user_id = ?'),
    address: prepare('select last_seen_at from addresses where user_id = ? and address = ?'),
    sawAddress: prepare(
      `insert into addresses (user_id, address, first_seen_at, last_seen_at) values (?, ?, ?, ?)
       on conflict (user_id, address) do update set last_seen_at = excluded.last_seen_at`,
    ),
    // Counted first: a delete makes a temporary table for its subquery each time, even when there is nothing to
    // remove.
    countAddresses: prepare('select count(*) from addresses where user_id = ?'),
    trimAddresses: prepare(
      `delete from addresses where user_id = ?1
         and address in (select address from addresses where user_id = ?1 order by first_seen_at desc, address limit -1 offset ?2)`,
    ),
  }
}

function inserting(table: string, columns: readonly string[]): string {
  return `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`
}

interface Loaded {
  readonly state: LoadedState
  readonly users: () => Iterable<CachedUser>
}

/** Reads each row at most once a batch, when it is first asked for. A cached user is not read at all. */
function createState(
  sql: Statements,
  lookups: SecretMemo<string>,
  open: ReadonlyMap<string, OpenEntry>,
  cached: CachedUsers,
): Loaded {
  const users = new Map<string, CachedUser>()
  const byAccessToken = new Map<string, LoadedUser | undefined>()

  const addressesOf = (id: string) => () =>
    cached.addressesOf(id, () => allRows(sql.addresses, id).map(toSeenAddress))

  function quotasOf(id: string): readonly LoadedQuota[] {
    const quotas = allRows(sql.quotas, id).map(toLoadedQuota)
    if (quotas.every(({ reserved, openRequests }) => isPlausible(reserved, openRequests))) return quotas
    sql.addUpReserved.run(id)
    return allRows(sql.quotas, id).map(toLoadedQuota)
  }

  function loaded(row: Values | undefined): LoadedUser | undefined {
    if (row === undefined) return undefined
    const [lookup, rowId, ...fields] = row
    const id = text(fields[0])
    const known = users.get(id)
    if (known) return known.user
    const quotas = quotasOf(id)
    const user = toLoadedUser(id, fields, quotas, addressesOf(id))
    users.set(id, { user, lookup: text(lookup), rowId: integer(rowId) })
    return user
  }

  function again(before: CachedUser): LoadedUser {
    const { id } = before.user
    const known = users.get(id)
    if (known) return known.user
    // The places belong to one batch's time window.
    const user = { ...before.user, isChanged: false, isBlocked: false, places: createPlaces(addressesOf(id)) }
    users.set(id, { ...before, user })
    return user
  }

  const state: LoadedState = {
    userOf(accessToken) {
      if (byAccessToken.has(accessToken)) return byAccessToken.get(accessToken)
      const lookup = lookups.of(accessToken)
      const before = cached.byLookup(lookup)
      const user = before ? again(before) : loaded(oneRow(sql.userByLookup, lookup))
      byAccessToken.set(accessToken, user)
      if (user) lookups.keep(accessToken, lookup)
      return user
    },
    userById(id) {
      const before = users.get(id) ?? cached.byId(id)
      return before ? again(before) : loaded(oneRow(sql.userById, id))
    },
    entryOf(requestId) {
      const known = open.get(requestId)
      if (known) return known
      const row = oneRow(sql.entry, requestId)
      return row && toOpenEntry(requestId, row)
    },
    hasEvent: (eventId) => oneRow(sql.event, eventId) !== undefined,
  }
  return { state, users: () => users.values() }
}

function addUsage(sql: Statements, changes: LedgerChanges, reportedName: ReportedName, now: number): void {
  const { users, totals } = rollUpsOf(changes, reportedName, now)
  for (const row of users) {
    if (row.weighing === 0) sql.addUserMinute.run(row.userId, row.minuteAt, ...toUsageValues(row))
    else sql.weighUserMinute.run(row.userId, row.minuteAt, ...toWeighedValues(row))
  }
  for (const row of totals) {
    const hourAt = Math.floor(row.minuteAt / hourMs) * hourMs
    if (row.weighing === 0) {
      const figures = toUsageValues(row)
      sql.addTotalMinute.run(row.minuteAt, ...figures)
      sql.addTotalHour.run(hourAt, ...figures)
    } else {
      const figures = toWeighedValues(row)
      sql.weighTotalMinute.run(row.minuteAt, ...figures)
      sql.weighTotalHour.run(hourAt, ...figures)
    }
  }
}
