import { Socket } from 'node:net'
import pg from 'pg'
import { breaksConnection } from './retry.ts'

const applicationName = 'tollgate'

/** How long anybody waits: a request that cannot be admitted is to be told so, not to hang. */
const connectMs = 5_000
const statementMs = 10_000
/** Whoever freezes in the middle of a transaction has locks that others wait for. */
const idleMs = 3_000
/** A server that is there answers a farewell at once. */
const farewellMs = 1_000

/** 64-bit numbers as JavaScript's; beyond 2^53 none is exact, and that is said aloud. */
function toNumber(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new TypeError(`stored ${text} is no safe integer`)
  return number
}

const int8 = 20
/** What sums of 64-bit numbers are; those of ours are whole. */
const numeric = 1700

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 || oid === numeric ? toNumber : pg.types.getTypeParser(oid, format),
}

function configOf(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: idleMs,
    // Also where the network swallows everything and nobody ever answers.
    query_timeout: statementMs + 1000,
    keepAlive: true,
    types,
  }
}

/** A few connections, for what an administrator and the background ask. */
export interface Pool {
  readonly pool: pg.Pool
  readonly close: () => Promise<void>
}

export function openPool(
  url: string,
  options: { readonly connections: number; readonly isByKey: boolean },
): Pool {
  const pool = new pg.Pool({
    ...configOf(options.isByKey ? withSettings(url, byKeyOnly) : url),
    max: options.connections,
    idleTimeoutMillis: 60_000,
    // None grows old: after a failover some may lead to a server that only reads.
    maxLifetimeSeconds: 60,
  })
  const clients = new Set<pg.Client>()
  /** Their server told them to go, or only reads now. */
  const spoiled = new WeakSet<object>()
  // What breaks is told by the next statement, or makes one fail; without somebody who listens it ends the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    if (!(client instanceof pg.Client)) return
    clients.add(client)
    client.connection.on('errorMessage', (error: unknown) => {
      if (breaksConnection(error)) spoiled.add(client)
    })
  })
  // The pool takes back none that is ending.
  pool.on('release', (_, client) => {
    if (client instanceof pg.Client && spoiled.has(client)) void client.end().catch(() => undefined)
  })
  pool.on('remove', (client) => client instanceof pg.Client && clients.delete(client))
  return {
    pool,
    async close() {
      const timer = setTimeout(() => {
        for (const client of clients) breakOff(client)
      }, farewellMs)
      await pool.end()
      clearTimeout(timer)
    },
  }
}

/** The first who asks for a connection says why there is none, in a sentence that names the `setting`. */
export async function findDatabase(pool: pg.Pool, setting: string): Promise<void> {
  try {
    const client = await pool.connect()
    client.release()
  } catch (error) {
    // A name that stands for several addresses fails with all of their reasons, and none of its own.
    const reasons: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    const said = reasons.map((reason) => (reason instanceof Error ? reason.message : String(reason)))
    throw new Error(`${setting}: ${said.join('; ')}`, { cause: error })
  }
}

/** Ends a connection in order, or without where nobody answers. */
export async function endConnection(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => breakOff(client), farewellMs)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/** At once: a farewell would wait for a network that may be gone. What was not sent yet stays unsaid. */
export function breakOff({ connection }: pg.Client): void {
  const { stream } = connection
  if (stream instanceof Socket) stream.resetAndDestroy()
  else stream.destroy()
}

/**
 * What metering and upkeep ask is always about few rows that a key names. A plan that was made while a table was small,
 * or while nobody had counted how large it has become, would read all of it, under the locks of users.
 */
const byKeyOnly = ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit']
  .map((setting) => `-c ${setting}=off`)
  .join(' ')

export interface ConnectionOptions {
  /** How long a statement may take. */
  readonly queryMs: number
  readonly connectMs?: number
  /** How long a transaction may wait for its next statement before the server ends it. */
  readonly idleMs?: number
  readonly isPipelined: boolean
  /** What the server's administrator sees of it. */
  readonly name?: string
}

/** One connection for one purpose; on a pipelined one statements are sent without waiting for those before. */
export async function connect(url: string, options: ConnectionOptions): Promise<pg.Client> {
  const { queryMs, connectMs: timeoutMs = connectMs, idleMs: transactionMs = idleMs, isPipelined } = options
  const client = new pg.Client({
    ...configOf(isPipelined ? withSettings(url, byKeyOnly) : url),
    application_name: options.name ?? applicationName,
    pipeline: isPipelined,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: queryMs,
    statement_timeout: queryMs,
    idle_in_transaction_session_timeout: transactionMs,
  })
  // What breaks while nobody waits for anything is told by the next statement.
  client.on('error', () => {})
  await client.connect()
  return client
}

/** What a URL says wins over what stands beside it, so ours go there: before the operator's, who has the last word. */
function withSettings(url: string, settings: string): string {
  const changed = new URL(url)
  const given = changed.searchParams.get('options')
  changed.searchParams.set('options', given === null ? settings : `${settings} ${given}`)
  return changed.href
}
