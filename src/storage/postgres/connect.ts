import pg from 'pg'

/** How long anybody waits: a request that cannot be admitted is to be told so, not to hang. */
const connectMs = 5_000
const statementMs = 10_000

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
    application_name: 'tollgate',
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: statementMs,
    // Also where the network swallows everything and nobody ever answers.
    query_timeout: statementMs + 1000,
    keepAlive: true,
    types,
  }
}

/** A few connections, for what an administrator and the background ask. */
export function openPool(url: string, onError: (error: unknown) => void): pg.Pool {
  // None grows old: after a failover some may lead to a server that only reads.
  const pool = new pg.Pool({ ...configOf(url), max: 6, idleTimeoutMillis: 60_000, maxLifetimeSeconds: 60 })
  // A connection that breaks while it is idle; the next one is made when it is needed.
  pool.on('error', onError)
  return pool
}

/**
 * What metering asks is always about few rows that a key names. Plans are made once for each connection, and one that
 * was made while a table was small would read all of it for ever after.
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
}

/** One connection for one purpose; on a pipelined one statements are sent without waiting for those before. */
export async function connect(url: string, options: ConnectionOptions): Promise<pg.Client> {
  const { queryMs, connectMs: timeoutMs = connectMs, idleMs = statementMs, isPipelined } = options
  const client = new pg.Client({
    ...configOf(url),
    pipeline: isPipelined,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: queryMs,
    statement_timeout: queryMs,
    idle_in_transaction_session_timeout: idleMs,
    ...(isPipelined && { connectionString: withSettings(url, byKeyOnly) }),
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
