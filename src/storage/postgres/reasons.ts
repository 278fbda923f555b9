import pg from 'pg'

const poolIsBusy = /timeout exceeded when trying to connect/

/** What an operator can do about a connection that cannot be had: each by the words of who refused. */
const advices: readonly (readonly [RegExp, (found: RegExpExecArray) => string])[] = [
  [
    /unsupported startup parameter(?: in options)?: ?"?([\w.]+)/,
    ([, name]) =>
      `the pooler in front of the database does not take ${name}: add it to its ignore_startup_parameters, and set it by "alter role … set …" instead`,
  ],
  [
    /no more connections allowed|max_client_conn|too many client connections/i,
    () => 'the pooler takes no more clients: raise its max_client_conn',
  ],
  [
    /query_wait_timeout/,
    () =>
      'the pooler had no connection to the database free: raise its default_pool_size; each instance takes up to nine',
  ],
  [
    /too many clients|remaining connection slots|too many connections/i,
    () =>
      'the database has no connection free: raise its max_connections, or put fewer instances or a pooler before it; each instance takes up to nine',
  ],
  [
    poolIsBusy,
    () =>
      'all connections of this instance for administrators and upkeep are busy: long lists or exports, or a slow database',
  ],
  [
    /Query read timeout|timeout expired|connection timeout/,
    () => 'no answer in time: where a pooler is between, its pool may be used up (default_pool_size)',
  ],
  [
    /self[- ]signed certificate|unable to (?:get|verify)/i,
    () => 'name the file of the authority as sslrootcert',
  ],
  [/does not support SSL/, () => 'sslmode=prefer goes on without TLS there'],
  [/no encryption|SSL off/, () => 'the database wants TLS: add sslmode=require or verify-full to the URL'],
  [/server only reads/, () => 'name all hosts in the URL, the one that is written to is found among them'],
]

/** What happened in the words of who said it, and what to do where that is known. Holds nothing of a URL. */
function reasonOf(error: unknown): string {
  // A name that stands for several addresses fails with all of their reasons, and none of its own.
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(reasonOf))].join('; ')
  const said = error instanceof Error ? error.message : String(error)
  for (const [words, advice] of advices) {
    const found = words.exec(said)
    if (found) return said.includes(advice(found)) ? said : `${said} (${advice(found)})`
  }
  return said
}

/** The same error, or one that says as well what to do. */
export function explained(error: unknown): unknown {
  const reason = reasonOf(error)
  return error instanceof Error && error.message === reason ? error : new Error(reason, { cause: error })
}

/** Why no connection could be had, of all hosts that were tried. */
export class Unreachable extends Error {
  constructor(tried: readonly { readonly name: string; readonly error: unknown }[]) {
    const reasons = tried.map(({ name, error }) => ({ name, said: reasonOf(error) }))
    const names = new Set(reasons.map(({ name }) => name))
    const lines = new Set(reasons.map(({ name, said }) => (names.size > 1 ? `${name}: ${said}` : said)))
    super([...lines].join('; '), { cause: tried.at(-1)?.error })
    this.name = 'Unreachable'
  }
}

/** A wrong password is wrong on the next server as well, and a pool that is used up waits for no server. */
export function isRefusedForGood(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return (error.code ?? '').startsWith('28')
  return error instanceof Error && poolIsBusy.test(error.message)
}
