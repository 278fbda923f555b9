import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Policy } from '#core/admission.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import {
  applyBatch,
  type ClosedEntry,
  createPlaces,
  type LedgerChanges,
  type LoadedQuota,
  type LoadedState,
  type LoadedUser,
  type MeteringDecisions,
  type NewEntry,
  type OpenEntry,
} from '../ledger.ts'
import type { MeteringBatch } from '../store.ts'
import { parseType, toLimits } from '../user-rows.ts'
import { integer, optional, text } from './columns.ts'

/**
 * The ledger on SQLite: loads what a batch is about, lets `applyBatch` decide, writes what changed; one
 * transaction, one sync to disk. Rows are read one by one through prepared statements, which costs less here
 * than one large statement, since there is no round trip to save.
 */
export interface SqliteLedger {
  readonly runBatch: (batch: MeteringBatch) => MeteringDecisions
  readonly openEntryIds: (limit: number) => readonly string[]
  /** To be called when addresses are written elsewhere. */
  readonly forgetAddresses: () => void
}

const hourMs = 3_600_000
/** An address is written again at most this often; between, only the memory knows that it was seen. */
const addressAgainMs = 60_000
const addressesRemembered = 50_000

export function createSqliteLedger(
  db: DatabaseSync,
  vault: Vault,
  policy: Policy,
  instance: string,
): SqliteLedger {
  const sql = prepareAll(db)
  const addresses = createAddressBook(sql)

  /** Entries that this process opened and did not close yet: a settlement need not look for its own. */
  const open = new Map<string, OpenEntry>()

  function runBatch(batch: MeteringBatch): MeteringDecisions {
    const loaded = createState(sql, vault, open)
    db.exec('begin immediate')
    try {
      const { decisions, changes } = applyBatch(batch, loaded.state, policy)
      write(loaded, changes, batch.now)
      db.exec('commit')
      remember(changes, batch.now)
      return decisions
    } catch (error) {
      if (db.isTransaction) db.exec('rollback')
      addresses.forget()
      throw error
    }
  }

  function write(loaded: Loaded, changes: LedgerChanges, now: number): void {
    for (const entry of changes.opened) insertEntry(sql, entry, instance, now)
    for (const closed of changes.closed) closeEntry(sql, closed)
    for (const user of loaded.users()) {
      if (user.isChanged)
        sql.updateUser.run(user.arrivalAt ?? null, user.lastUsedAt, user.promptCount, user.id)
      for (const quota of user.quotas.values()) {
        if (!quota.isChanged) continue
        const { family, used, reserved, openRequests, periodStartedAt } = quota
        sql.upsertQuota.run(user.id, family, used, reserved, openRequests, periodStartedAt)
      }
    }
    for (const { userId, address } of changes.seen) addresses.saw(userId, address, now)
  }

  function remember(changes: LedgerChanges, now: number): void {
    for (const { entry } of changes.closed) open.delete(entry.id)
    for (const { ask, userId, family, model, hold, inputEstimate } of changes.opened) {
      const { requestId, isMetered } = ask
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
  }

  return {
    runBatch,
    forgetAddresses: addresses.forget,
    openEntryIds: (limit) => sql.openEntries.all(limit).map((row) => text(values(row)[0])),
  }
}

type Statements = ReturnType<typeof prepareAll>

function prepareAll(db: DatabaseSync) {
  const prepare = (source: string): StatementSync => {
    const statement = db.prepare(source)
    statement.setReturnArrays(true)
    return statement
  }
  const userColumns = `id, type, disabled_at, disabled_reason, expires_at, requests_per_minute, concurrent_requests,
    max_ips, allowed_networks, allowed_models, period, arrival_at, last_used_at, prompt_count`
  return {
    userByLookup: prepare(`select ${userColumns} from users where lookup = ?`),
    userById: prepare(`select ${userColumns} from users where id = ?`),
    quotas: prepare(
      'select family, quota_limit, used, reserved, open_requests, period_started_at from quotas where user_id = ?',
    ),
    entry: prepare(
      'select user_id, family, model, kind, hold, input_estimate, started_at, state from entries where id = ?',
    ),
    openEntries: prepare("select id from entries where state = 'open' limit ?"),
    insertEntry: prepare(
      `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, address, instance, started_at)
       values (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?)`,
    ),
    closeEntry: prepare(
      `update entries set state = ?, is_estimated = ?, input = ?, cache_read = ?, cache_written = ?, output = ?,
         reasoning = ?, units = ?, status = ?, error_code = ?, upstream = ?, ended_at = ?, duration_ms = ?, first_byte_ms = ?
       where id = ?`,
    ),
    updateUser: prepare('update users set arrival_at = ?, last_used_at = ?, prompt_count = ? where id = ?'),
    upsertQuota: prepare(
      `insert into quotas (user_id, family, used, reserved, open_requests, period_started_at) values (?, ?, ?, ?, ?, ?)
       on conflict (user_id, family) do update set
         used = excluded.used, reserved = excluded.reserved, open_requests = excluded.open_requests,
         period_started_at = excluded.period_started_at`,
    ),
    addHour: prepare(
      `insert into usage_hours (user_id, hour_at, family, model, requests, input, cache_read, cache_written, output, reasoning)
       values (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
       on conflict (user_id, hour_at, family, model) do update set
         requests = requests + 1, input = input + excluded.input, cache_read = cache_read + excluded.cache_read,
         cache_written = cache_written + excluded.cache_written, output = output + excluded.output,
         reasoning = reasoning + excluded.reasoning`,
    ),
    addresses: prepare('select address from addresses where user_id = ?'),
    sawAddress: prepare(
      `insert into addresses (user_id, address, first_seen_at, last_seen_at) values (?, ?, ?, ?)
       on conflict (user_id, address) do update set last_seen_at = excluded.last_seen_at`,
    ),
    trimAddresses: prepare(
      `delete from addresses where user_id = ?1 and (select count(*) from addresses where user_id = ?1) > ?2
         and address in (select address from addresses where user_id = ?1 order by first_seen_at desc, address limit -1 offset ?2)`,
    ),
  }
}

interface Loaded {
  readonly state: LoadedState
  readonly users: () => Iterable<LoadedUser>
}

/** Reads each row at most once a batch, when it is first asked for. */
function createState(sql: Statements, vault: Vault, open: ReadonlyMap<string, OpenEntry>): Loaded {
  const users = new Map<string, LoadedUser>()
  const byAccessToken = new Map<string, LoadedUser | undefined>()

  function loaded(row: unknown): LoadedUser | undefined {
    if (row === undefined) return undefined
    const fields = values(row)
    const id = text(fields[0])
    const known = users.get(id)
    if (known) return known
    const user = toLoadedUser(id, fields, sql.quotas.all(id).map(values).map(toLoadedQuota), () =>
      sql.addresses.all(id).map((seen) => text(values(seen)[0])),
    )
    users.set(id, user)
    return user
  }

  const state: LoadedState = {
    userOf(accessToken) {
      if (byAccessToken.has(accessToken)) return byAccessToken.get(accessToken)
      const user = loaded(sql.userByLookup.get(vault.lookupOf(accessToken)))
      byAccessToken.set(accessToken, user)
      return user
    },
    userById: (id) => users.get(id) ?? loaded(sql.userById.get(id)),
    entryOf(requestId) {
      const known = open.get(requestId)
      if (known) return known
      const row = sql.entry.get(requestId)
      return row === undefined ? undefined : toOpenEntry(requestId, values(row))
    },
  }
  return { state, users: () => users.values() }
}

type Values = readonly SQLOutputValue[]

/** With `setReturnArrays` a row is an array, whatever the types say. */
function values(row: unknown): Values {
  if (!Array.isArray(row)) throw new TypeError('a row is no array')
  return row
}

function toLoadedUser(
  id: string,
  row: Values,
  quotas: readonly LoadedQuota[],
  addresses: () => readonly string[],
): LoadedUser {
  const limits = toLimits({
    requests_per_minute: optional(row[5], integer),
    concurrent_requests: optional(row[6], integer),
    max_ips: optional(row[7], integer),
    allowed_networks: optional(row[8], text),
    allowed_models: optional(row[9], text),
    period: optional(row[10], text),
  })
  const disabledAt = optional(row[2], integer)
  const disabledReason = optional(row[3], text)
  const expiresAt = optional(row[4], integer)
  const arrivalAt = row[11]
  return {
    id,
    type: parseType(text(row[1])),
    limits,
    quotas: new Map(quotas.map((quota) => [quota.family, quota])),
    openRequests: quotas.reduce((sum, quota) => sum + quota.openRequests, 0),
    lastUsedAt: optional(row[12], integer),
    promptCount: integer(row[13]),
    isChanged: false,
    places: createPlaces(addresses),
    ...(disabledAt !== null && { disabledAt }),
    ...(disabledReason !== null && { disabledReason }),
    ...(expiresAt !== null && { expiresAt }),
    ...(typeof arrivalAt === 'number' && { arrivalAt }),
  }
}

function toLoadedQuota(row: Values): LoadedQuota {
  const limit = optional(row[1], integer)
  return {
    family: text(row[0]),
    used: integer(row[2]),
    reserved: integer(row[3]),
    openRequests: integer(row[4]),
    periodStartedAt: integer(row[5]),
    isChanged: false,
    ...(limit !== null && { limit }),
  }
}

function toOpenEntry(id: string, row: Values): OpenEntry | 'closed' {
  if (text(row[7]) !== 'open') return 'closed'
  return {
    id,
    userId: text(row[0]),
    family: text(row[1]),
    model: text(row[2]),
    isMetered: text(row[3]) === 'metered',
    hold: integer(row[4]),
    inputEstimate: integer(row[5]),
    startedAt: integer(row[6]),
  }
}

function insertEntry(sql: Statements, entry: NewEntry, instance: string, now: number): void {
  const { ask } = entry
  sql.insertEntry.run(
    ask.requestId,
    entry.userId,
    ask.isMetered ? 'metered' : 'free',
    ask.route,
    entry.family,
    entry.model,
    entry.hold,
    entry.inputEstimate,
    ask.address,
    instance,
    now,
  )
}

function closeEntry(sql: Statements, { entry, settlement, usage, units, endedAt }: ClosedEntry): void {
  sql.closeEntry.run(
    settlement.ending,
    settlement.isEstimated ? 1 : 0,
    usage.input,
    usage.cacheRead,
    usage.cacheWritten,
    usage.output,
    usage.reasoning,
    units,
    settlement.status,
    settlement.errorCode ?? null,
    settlement.upstream ?? null,
    endedAt,
    settlement.durationMs,
    settlement.firstByteMs ?? null,
    entry.id,
  )
  if (settlement.ending === 'released' || !entry.isMetered) return
  const hourAt = Math.floor(endedAt / hourMs) * hourMs
  const { input, cacheRead, cacheWritten, output, reasoning } = usage
  sql.addHour.run(
    entry.userId,
    hourAt,
    entry.family,
    entry.model,
    input,
    cacheRead,
    cacheWritten,
    output,
    reasoning,
  )
}

/** Writes an address when it is new to a user, or was not written for a while. */
function createAddressBook(sql: Statements) {
  const writtenAt = new Map<string, number>()
  return {
    saw(userId: string, address: string, now: number): void {
      const key = `${userId} ${address}`
      const at = writtenAt.get(key)
      if (at !== undefined && now - at < addressAgainMs && at <= now) return
      sql.sawAddress.run(userId, address, now, now)
      if (at === undefined) sql.trimAddresses.run(userId, addressesMax)
      if (writtenAt.size >= addressesRemembered) writtenAt.clear()
      writtenAt.set(key, now)
    },
    /** After a rollback nothing is known to be written. */
    forget: () => writtenAt.clear(),
  }
}
