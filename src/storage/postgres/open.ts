import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type { Clock } from '#core/clock.ts'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import type { Settlement } from '#core/settlement.ts'
import { createVault, type MasterKeys } from '#core/vault.ts'
import { createStopper } from '#lib/stopper.ts'
import type { Owners } from '#storage/ledger/owners.ts'
import { type ChannelState, createListener } from '#storage/postgres/channel/listen.ts'
import { createSignals, signalChannel } from '#storage/postgres/channel/signals.ts'
import { changeChannel, hearOfChanges, wakeAll } from '#storage/postgres/channel/wake.ts'
import { refuseUnfinished } from '#storage/postgres/move/moving.ts'
import { holdMasterKey } from '#storage/schema/held-key.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { untilNone } from '#storage/upkeep/until-none.ts'
import { methodsOf } from '../methods.ts'
import { type Store, StoreFault } from '../store.ts'
import { createTables, storeOf } from '../store-tables.ts'
import { connect, endConnection, findDatabase, openPool, type Pool } from './connect.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'
import { createPostgresRows } from './many-rows.ts'
import { openPostgresMetering, type PostgresMetering } from './metering.ts'
import { migratePostgres } from './migrate.ts'
import { readOldestWriteMs } from './oldest-write.ts'
import { explained } from './reasons.ts'
import { persisting, retrying, retryingWithin } from './retry.ts'
import { openServers, type Servers } from './servers.ts'
import { createSharedClock, type SharedClock } from './shared-clock.ts'

/** The timeout of a single look-up for a request, the same as for its admission. */
const askedMs = 5_000
/** A load balancer needs an answer soon. */
const checkMs = 2_000

export interface PostgresSettings extends MasterKeys {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  /** The same database without the pooler, for what a pooler cannot do. */
  readonly directUrl?: string
  /** Receives a sentence for each thing that works less well than it should. */
  readonly warn?: (sentence: string) => void
  readonly policy: PolicySettings
  readonly instance: string
  /** This machine's clock; the system's where absent. */
  readonly localClock?: Clock
}

/**
 * PostgreSQL as the store of any number of processes. Metering has connections of its own; the control plane shares a
 * small pool. Other instances may write the same rows at the same time: a transaction that fails by such a conflict
 * is retried.
 */
export async function openPostgresStore(settings: PostgresSettings): Promise<Store> {
  const stopper = createStopper()
  try {
    return await open(settings, stopper)
  } catch (error) {
    await stopper.stop()
    throw error
  }
}

async function open(settings: PostgresSettings, stopper: ReturnType<typeof createStopper>): Promise<Store> {
  const { url, directUrl, instance } = settings
  const servers = openServers(url, 'DATABASE_URL')
  const direct = directUrl === undefined ? servers : openServers(directUrl, 'DATABASE_DIRECT_URL')
  const pool = openPool(servers, { connections: 6, isByKey: false })
  stopper.add(pool.close)
  const upkeepPool = openPool(servers, { connections: 1, isByKey: true })
  stopper.add(upkeepPool.close)
  const first = await findDatabase(pool.connect, 'DATABASE_URL')
  first.release()
  if (direct !== servers) await refuseOther(pool, direct)
  const plain = new Set([...servers.plain, ...direct.plain])
  if (plain.size > 0) settings.warn?.(plainness([...plain]))
  await migratePostgres(direct).catch((error: unknown) => {
    throw explained(error)
  })
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: pool.pool }) })
  const vault = createVault(settings)
  await persisting(() => holdMasterKey(db, vault))
  const policy = createPolicy(settings.policy)
  const upkeepDb = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: upkeepPool.pool }) })
  const tables = createTables({
    ...{ db, vault, policy, instance, upkeepDb, many: createPostgresRows() },
    wake: wakeAll,
    unreadMs: readOldestWriteMs,
  })
  const { owners } = tables
  const ledger = createPostgresLedger(vault, policy, { instance, shard: shardOf(instance) })
  const metering = openPostgresMetering(servers, ledger)
  stopper.add(metering.close)
  const listener = createListener(direct, {
    channels: [changeChannel, signalChannel],
    tell: (channel, words) => pool.ask('select pg_notify($1, $2)', [channel, words]),
    onChange(state) {
      if (state === 'deaf') settings.warn?.(deafness(directUrl !== undefined))
    },
  })
  stopper.add(listener.close)
  const signals = createSignals(pool, listener, instance)
  stopper.add(signals.close)
  const shared = createSharedClock(db, settings.localClock)
  await owners.writes.beat(await shared.read())
  // Where this fails, the other instances find out by the missing heartbeats.
  stopper.add(() => retryingWithin(checkMs, () => owners.leave()).catch(() => undefined))
  await refuseUnfinished(pool)

  const methods = retriedMethodsOf(tables, ledger)
  return {
    ...storeOf(methods),
    metering: {
      ...methods.owners,
      lanes: metering.lanes,
      mayLoseBooked: true,
      runBatch: metering.runBatch,
      listModels: ledger.listModels,
      // By the database's clock: the clocks of two machines may differ by more than a heartbeat.
      beat: () => retrying(async () => owners.writes.beat(await shared.read())),
      history: () => retrying(() => readHistory(db)),
      abandonEntries: createAbandoning(owners, metering, shared),
    },
    watchChanges: (onNews) => hearOfChanges(listener, onNews),
    signals,
    keyFor: vault.keyFor,
    about: { database: 'PostgreSQL', masterKey: vault.version },
    agreeOnTime: shared.correct,
    notes: () => channelNotes(listener.state(), directUrl !== undefined),
    check: () => retryingWithin(checkMs, metering.check),
    close: stopper.stop,
  }
}

function retriedMethodsOf(
  tables: ReturnType<typeof createTables>,
  { forgetAddresses }: Pick<PostgresLedger, 'forgetAddresses'>,
) {
  return methodsOf(tables, ({ kind, run }) => {
    switch (kind) {
      case 'reads':
        return (...args) => retryingWithin(askedMs, () => run(...args))
      case 'long':
      case 'writes':
        return (...args) => retrying(() => run(...args))
      case 'addressWrites':
        return (...args) => retrying(() => run(...args)).finally(forgetAddresses)
    }
  })
}

function createAbandoning(
  owners: Owners,
  { runBatch }: PostgresMetering,
  clock: SharedClock,
): MeteringStore['abandonEntries'] {
  return async (now, silentMs, onFault) => {
    // Another instance may be closing the same entries: the settlement closes each one only once.
    const book = (settlements: readonly Settlement[]) => runBatch({ now, settlements, asks: [] })
    const books = { book, isFault: (error: unknown) => error instanceof StoreFault }
    const count = await untilNone(async () => {
      const seenBefore = (await retrying(() => clock.read())) - silentMs
      const closed = await retrying(() => owners.abandonSome(now, seenBefore, books))
      if (closed === 0) await retrying(() => owners.forgetDead(seenBefore))
      return closed
    })
    for (const { id, error } of owners.takeFaults()) onFault?.(id, error)
    return count
  }
}

/** Checks that both URLs lead to the same database of the same running server. */
async function refuseOther(pool: Pool, direct: Servers): Promise<void> {
  const text =
    'select current_database() as name, extract(epoch from pg_postmaster_start_time())::text as started'
  const options = { queryMs: askedMs, isPipelined: false }
  const client = await findDatabase(() => connect(direct, options), 'DATABASE_DIRECT_URL')
  try {
    const [ours, theirs] = await Promise.all([pool.ask(text), client.query<Record<string, unknown>>(text)])
    const [here, there] = [ours.rows[0], theirs.rows[0]]
    if (here?.name === there?.name && here?.started === there?.started) return
  } finally {
    await endConnection(client)
  }
  throw new Error(
    'DATABASE_DIRECT_URL: leads to another database than DATABASE_URL; it must be the same one, only without the pooler',
  )
}

function channelNotes(state: ChannelState, hasDirect: boolean): readonly string[] {
  if (state === 'heard') return []
  if (state === 'deaf') return [deafness(hasDirect)]
  return [
    'The connection that listens for the changes of other instances is away; they are asked for instead.',
  ]
}

function plainness(hosts: readonly string[]): string {
  return (
    `the database at ${hosts.join(', ')} is reached without TLS, or would be where the server refuses it: its password ` +
    'and all data can be read on the way. Add sslmode=verify-full to the URL (or require), or use a network that only ' +
    'your machines are in'
  )
}

function deafness(hasDirect: boolean): string {
  const remedy = hasDirect
    ? 'DATABASE_DIRECT_URL leads through one: let it name the database itself.'
    : 'Set DATABASE_DIRECT_URL to the database itself, or let the pooler keep sessions.'
  return `Notifications of other instances do not arrive, as behind a pooler that pools transactions. Their changes are asked for every 400 ms, and wrong credentials are counted by each instance alone. ${remedy}`
}

/**
 * The timeline, which changes with each promotion of a standby: the first eight digits of the name of the current WAL
 * file (PostgreSQL's manual, 25.3.6).
 */
async function readHistory(db: Kysely<Schema>): Promise<string | undefined> {
  const { rows } = await sql<{ file: string }>`select pg_walfile_name(pg_current_wal_lsn()) as file`.execute(
    db,
  )
  return rows[0]?.file.slice(0, 8)
}

function shardOf(instance: string): number {
  return createHash('sha256').update(instance).digest().readUInt16BE()
}
