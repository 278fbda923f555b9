import { Socket } from 'node:net'
import pg from 'pg'
import { toSum } from '#core/units.ts'
import { faultOf, unreachable } from '../fault.ts'
import { breakOffSocket } from './break-off.ts'
import { breaksConnection } from './retry.ts'
import type { Servers, Way } from './servers.ts'
import { beginOn, byAnyWay, openSession, type Settings, sessionOf } from './session.ts'

const applicationName = 'tollgate'

/** How long a request waits for a connection: it should be refused rather than hang. */
const connectMs = 5_000
const statementMs = 10_000
/** An instance that freezes within a transaction holds locks that others wait for. */
const idleMs = 3_000
/** A server that is there closes a connection at once. */
const farewellMs = 1_000

/**
 * 64-bit numbers as JavaScript numbers. Beyond 2^53 they are rounded and bounded: one row must not make others
 * unreadable.
 */
function toNumber(text: string): number {
  return toSum(Number(text))
}

const int8 = 20
/** The type of sums of 64-bit numbers; ours are whole numbers. */
const numeric = 1700

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 || oid === numeric ? toNumber : pg.types.getTypeParser(oid, format),
}

/**
 * Metering and upkeep always read a few rows by a key. A plan made while a table was small, or before the server's
 * statistics caught up, would scan the whole table while users are locked.
 */
const byKeyOnly: Settings = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
}

function settingsOf(queryMs: number, transactionMs: number, isByKey: boolean): Settings {
  return {
    statement_timeout: String(queryMs),
    idle_in_transaction_session_timeout: String(transactionMs),
    ...(isByKey && byKeyOnly),
  }
}

function configOf(way: Way, { url }: Servers, more: pg.ClientConfig): pg.ClientConfig {
  const timeoutMs = more.connectionTimeoutMillis ?? connectMs
  return {
    ...way.config,
    types,
    ...more,
    application_name: url.applicationName ?? more.application_name ?? applicationName,
    connectionTimeoutMillis: Math.min(timeoutMs, url.connectTimeoutMs ?? timeoutMs),
  }
}

/** A few connections for administrators and background work. */
export interface Pool {
  /** What Kysely asks of a pool. */
  readonly pool: {
    readonly connect: () => Promise<pg.PoolClient>
    readonly end: () => Promise<void>
    readonly options: object
  }
  /** Takes a connection; rejects with `Unreachable`. */
  readonly connect: () => Promise<pg.PoolClient>
  /** Runs one statement on a connection of the pool. */
  readonly ask: (text: string, values?: unknown[]) => Promise<pg.QueryResult<Record<string, unknown>>>
  readonly close: () => Promise<void>
}

export function openPool(
  servers: Servers,
  options: { readonly connections: number; readonly isByKey: boolean },
): Pool {
  const pool = createPool(servers, options)
  const clients = watchClients(pool)
  const connect = () => byAnyWay(servers, () => pool.connect())
  const asked = new WeakMap<pg.PoolClient, pg.PoolClient>()
  return {
    pool: {
      options: {},
      async connect() {
        const client = await connect()
        if (!sessionOf(client)?.isPooled) return client
        const known = asked.get(client) ?? withSettings(client, options.isByKey)
        asked.set(client, known)
        return known
      },
      end: () => Promise.resolve(),
    },
    connect,
    async ask(text, values) {
      const client = await connect()
      try {
        const result = await client.query<Record<string, unknown>>(text, values)
        client.release()
        return result
      } catch (error) {
        client.release(true)
        throw error
      }
    },
    async close() {
      const timer = setTimeout(() => {
        for (const client of clients) breakOff(client)
      }, farewellMs)
      await pool.end()
      clearTimeout(timer)
    },
  }
}

function createPool(
  servers: Servers,
  options: { readonly connections: number; readonly isByKey: boolean },
): pg.Pool {
  const settings = settingsOf(statementMs, idleMs, options.isByKey)
  const config = {
    connectionTimeoutMillis: connectMs,
    // Applies also where the network drops everything and no answer can come.
    query_timeout: statementMs + 1000,
  }
  /** The pool awaits what this hook returns, which its type does not say. */
  const hooks: { readonly onConnect: (client: pg.ClientBase) => unknown } = {
    onConnect: (client) => client instanceof pg.Client && openSession(client, servers, settings, connectMs),
  }
  return new pg.Pool({
    ...config,
    Client: class extends pg.Client {
      constructor() {
        super(configOf(servers.current(), servers, config))
      }
    },
    ...hooks,
    max: options.connections,
    idleTimeoutMillis: 60_000,
    // Connections are renewed: after a failover an old one may lead to a server that has become read-only.
    maxLifetimeSeconds: 60,
  })
}

/** Ends connections that have become useless. Returns those that are open. */
function watchClients(pool: pg.Pool): ReadonlySet<pg.Client> {
  const clients = new Set<pg.Client>()
  /** Connections whose server is shutting down or has become read-only. */
  const spoiled = new WeakSet<object>()
  // The next statement reports a broken connection; without a listener the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    if (!(client instanceof pg.Client)) return
    clients.add(client)
    client.connection.on('errorMessage', (error: unknown) => {
      if (breaksConnection(error)) spoiled.add(client)
    })
  })
  // The pool does not take back a connection that is ending.
  pool.on('release', (_, client) => {
    if (client instanceof pg.Client && spoiled.has(client)) void client.end().catch(() => undefined)
  })
  pool.on('remove', (client) => client instanceof pg.Client && clients.delete(client))
  return clients
}

/**
 * A connection behind a pooler: its settings are sent with each transaction, and with each statement outside of one
 * whose plan depends on them.
 */
function withSettings(client: pg.PoolClient, isByKey: boolean): pg.PoolClient {
  let isInTransaction = false

  async function query(text: string, values: unknown[]): Promise<Pick<pg.QueryResult, 'rows'>> {
    if (text === 'begin') {
      isInTransaction = true
      await client.query(beginOn(client))
      return { rows: [] }
    }
    if (isInTransaction) {
      if (text === 'commit' || text === 'rollback') isInTransaction = false
      return client.query(text, values)
    }
    return isByKey ? alone(text, values) : client.query(text, values)
  }

  async function alone(text: string, values: unknown[]): Promise<pg.QueryResult> {
    await client.query(beginOn(client))
    try {
      const result = await client.query(text, values)
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw error
    }
  }

  function release(destroy?: boolean): void {
    isInTransaction = false
    client.release(destroy)
  }
  // These are the only methods that Kysely calls.
  return Object.create(client, { query: { value: query }, release: { value: release } })
}

/** Opens the first connection. On failure throws a sentence that begins with the name of `setting`. */
export async function findDatabase<T>(open: () => Promise<T>, setting: string): Promise<T> {
  try {
    return await open()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const says =
      faultOf(error) === unreachable
        ? `no server can be reached: see whether it runs and the address is right (${message})`
        : message
    throw new Error(`${setting}: ${says}`, { cause: error })
  }
}

/** Closes a connection in order, or breaks it off where the server does not answer. */
export async function endConnection(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => breakOff(client), farewellMs)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/** At once: an orderly end would wait for a network that may be gone. Unsent data is dropped. */
export function breakOff({ connection }: pg.Client): void {
  const { stream } = connection
  if (stream instanceof Socket) breakOffSocket(stream)
  else stream.destroy()
}

export interface ConnectionOptions {
  /** The timeout of a statement. */
  readonly queryMs: number
  readonly connectMs?: number
  /** How long a transaction may wait for its next statement before the server ends it; 0 for ever. */
  readonly idleMs?: number
  readonly isPipelined: boolean
  /** The name that the server's administrator sees (`application_name`). */
  readonly name?: string
}

/** One connection for one purpose. A pipelined one sends statements without waiting for earlier answers. */
export function connect(servers: Servers, options: ConnectionOptions): Promise<pg.Client> {
  const { queryMs, connectMs: timeoutMs = connectMs, idleMs: transactionMs = idleMs, isPipelined } = options
  const settings = settingsOf(queryMs, transactionMs, isPipelined)
  return byAnyWay(servers, async (way) => {
    const client = new pg.Client(
      configOf(way, servers, {
        pipeline: isPipelined,
        connectionTimeoutMillis: timeoutMs,
        query_timeout: queryMs,
        ...(options.name !== undefined && { application_name: options.name }),
      }),
    )
    // The next statement reports a broken connection.
    client.on('error', () => {})
    try {
      await client.connect()
      await openSession(client, servers, settings, timeoutMs)
      return client
    } catch (error) {
      breakOff(client)
      throw error
    }
  })
}
