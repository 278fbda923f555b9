import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Policy } from '#core/admission.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import { createSecretMemo, type SecretMemo } from '#lib/secret-memo.ts'
import { isRecent } from '#storage/ledger/address-book.ts'
import {
  applyBatch,
  createPlaces,
  type LedgerChanges,
  type LoadedQuota,
  type LoadedState,
  type LoadedUser,
  type MeteringDecisions,
  type OpenEntry,
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
import {
  createWriteList,
  type DueAddress,
  type WriteList,
  type WriteTarget,
} from '#storage/ledger/write-list.ts'
import { ofEachWrite, type Write } from '#storage/ledger/writes.ts'
import { integer, text } from '#storage/schema/columns.ts'
import { addUpReserved, isPlausible } from '#storage/users/reserved.ts'
import type { MeteringBatch } from '../store.ts'
import { type CachedUser, type CachedUsers, createCachedUsers } from './cached-users.ts'
import { allRows, oneRow } from './rows.ts'

/**
 * The ledger on SQLite: loads what a batch is about, lets `applyBatch` decide, executes the list of writes; one
 * transaction, one sync to disk. Rows are read one by one through prepared statements, which costs less here
 * than one large statement, since there is no round trip to save.
 */
export interface SqliteLedger extends Pick<WriteList, 'forgetAddresses' | 'listModels'> {
  readonly runBatch: (batch: MeteringBatch) => MeteringDecisions
}

/** There is one writer at a time, so the totals have one shard. */
const shard = 0

export function createSqliteLedger(
  db: DatabaseSync,
  vault: Vault,
  policy: Policy,
  instance: string,
): SqliteLedger {
  const sql = prepareAll(db)
  const { writeTo, forgetAddresses, listModels } = createWriteList(policy, instance, shard)

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
  const target: WriteTarget = { write: (name, row) => sql.writes[name].run(...row), writeAddress }

  function runBatch(batch: MeteringBatch): MeteringDecisions {
    const loaded = createState(sql, lookups, open, cached)
    db.exec('begin immediate')
    try {
      forgetWhatOthersWrote()
      const { decisions, changes } = applyBatch(batch, loaded.state, policy)
      const users = [...loaded.users()]
      writeTo(target, changes, users.map(userOf), below, batch.now)
      db.exec('commit')
      remember(changes, batch.now)
      for (const user of users) cached.keep(user)
      return decisions
    } catch (error) {
      cached.forget()
      if (db.isTransaction) db.exec('rollback')
      forgetAddresses()
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

  function writeAddress({ userId, address, due }: DueAddress, now: number): void {
    if (due === 'new') {
      // After a restart or an administrator's edit the memory is empty, but the address may be stored.
      const row = oneRow(sql.address, userId, address)
      if (row !== undefined && isRecent(integer(row[0]), now)) return
    }
    cached.forgetAddressesOf(userId)
    sql.writes.address.run(userId, address, now, now)
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

  return { runBatch, forgetAddresses, listModels }
}

const userOf = ({ user }: CachedUser) => user

type Statements = ReturnType<typeof prepareAll>

function prepareAll(db: DatabaseSync) {
  const prepare = (source: string): StatementSync => {
    const statement = db.prepare(source)
    statement.setReturnArrays(true)
    return statement
  }
  return {
    // A user's row is found by its row id, without the index over ids.
    writes: ofEachWrite((write, name) =>
      prepare(statementOf(name === 'user' ? { ...write, key: ['rowid'] } : write)),
    ),
    // Changes with every commit of another connection, and with nothing else.
    version: prepare('pragma data_version'),
    userByLookup: prepare(`select lookup, rowid, ${userColumns} from users where lookup = ?`),
    userById: prepare(`select lookup, rowid, ${userColumns} from users where id = ?`),
    quotas: prepare(`select ${quotaColumns} from quotas where user_id = ?`),
    entry: prepare(`select ${entryColumns} from entries where id = ?`),
    event: prepare('select counted_at from usage_events where id = ?'),
    below: prepare(`select value from facts where name = '${belowName}'`),
    addUpReserved: prepare(`${addUpReserved} where user_id = ?`),
    addresses: prepare('select address, last_seen_at from addresses where user_id = ?'),
    address: prepare('select last_seen_at from addresses where user_id = ? and address = ?'),
    // Counted first: a delete makes a temporary table for its subquery each time, even when there is nothing to
    // remove.
    countAddresses: prepare('select count(*) from addresses where user_id = ?'),
    trimAddresses: prepare(
      `delete from addresses where user_id = ?1
         and address in (select address from addresses where user_id = ?1 order by first_seen_at desc, address limit -1 offset ?2)`,
    ),
  }
}

function statementOf({ table, columns, key, more }: Write): string {
  if (key.length === 0) {
    const places = columns.map(() => '?')
    return `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')}) ${more}`
  }
  const sets = columns.slice(0, -key.length).map((name) => `${name} = ?`)
  const those = key.map((name) => `${name} = ?`)
  return `update ${table} set ${[...sets, ...(more === '' ? [] : [more])].join(', ')} where ${those.join(' and ')}`
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
    const user = toLoadedUser(id, integer(rowId), fields, quotasOf(id), addressesOf(id))
    users.set(id, { user, lookup: text(lookup) })
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
