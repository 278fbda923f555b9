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
  const pool = new pg.Pool({ ...configOf(url), max: 6, idleTimeoutMillis: 60_000 })
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

/** One connection for one purpose; on a pipelined one statements are sent without waiting for those before. */
export async function connect(
  url: string,
  options: { readonly queryMs: number; readonly isPipelined: boolean },
): Promise<pg.Client> {
  const { queryMs, isPipelined } = options
  const client = new pg.Client({
    ...configOf(url),
    pipeline: isPipelined,
    query_timeout: queryMs,
    statement_timeout: queryMs,
    ...(isPipelined && { options: byKeyOnly }),
  })
  // What breaks while nobody waits for anything is told by the next statement.
  client.on('error', () => {})
  await client.connect()
  return client
}
