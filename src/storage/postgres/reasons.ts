import pg from 'pg'

const poolIsBusy = /timeout exceeded when trying to connect/

interface Advice {
  readonly words: RegExp
  /**
   * The code under which `fault.ts` knows the failure, so that readiness can say more than that the database is away.
   */
  readonly code?: string
  readonly say: (found: RegExpExecArray) => string
}

/** What an operator can do about a failed connection, found by the words of the server, pooler or driver. */
const advices: readonly Advice[] = [
  {
    words: /unsupported startup parameter(?: in options)?: ?"?([\w.]+)/,
    code: 'POOLER_SETTINGS',
    say: ([, name]) =>
      `the pooler in front of the database does not take ${name}: add it to its ignore_startup_parameters, and set it by "alter role … set …" instead`,
  },
  {
    words: /statement pooling mode/,
    code: 'POOLER_SETTINGS',
    say: () => 'set the pool_mode of the pooler to transaction or session',
  },
  {
    words: /no more connections allowed|max_client_conn|too many client connections/i,
    code: 'POOLER_CLIENTS',
    say: () => 'the pooler takes no more clients: raise its max_client_conn',
  },
  {
    words: /query_wait_timeout/,
    code: 'POOLER_POOL',
    say: () =>
      'the pooler had no connection to the database free: raise its default_pool_size; each instance takes up to ten',
  },
  {
    words: /too many clients|remaining connection slots|too many connections/i,
    code: '53300',
    say: () =>
      'the database has no connection free: raise its max_connections, or put fewer instances or a pooler before it; each instance takes up to ten',
  },
  {
    words: poolIsBusy,
    code: 'OWN_POOL',
    say: () =>
      'all connections of this instance for administrators and upkeep are busy: long lists or exports, or a slow database',
  },
  {
    words: /Query read timeout|timeout expired|connection timeout/,
    code: 'NO_ANSWER',
    say: () => 'no answer in time: where a pooler is between, its pool may be used up (default_pool_size)',
  },
  {
    words: /self[- ]signed certificate|unable to (?:get|verify)/i,
    say: () => 'name the file of the authority as sslrootcert',
  },
  { words: /does not support SSL/, say: () => 'sslmode=prefer goes on without TLS there' },
  {
    words: /no encryption|SSL off/,
    say: () => 'the database wants TLS: add sslmode=require or verify-full to the URL',
  },
]

interface Reason {
  readonly said: string
  readonly code?: string
}

/** What happened, in the original words, and what to do where that is known. Holds nothing of a URL. */
function reasonOf(error: unknown): Reason {
  // A name with several addresses fails with the errors of all of them, and has no message of its own.
  if (error instanceof AggregateError && error.errors.length > 0)
    return { said: [...new Set(error.errors.map((each) => reasonOf(each).said))].join('; ') }
  const said = error instanceof Error ? error.message : String(error)
  for (const { words, code, say } of advices) {
    const found = words.exec(said)
    if (!found) continue
    const advice = say(found)
    return { said: said.includes(advice) ? said : `${said} (${advice})`, ...(code !== undefined && { code }) }
  }
  return { said }
}

/** An error whose message also says what to do. */
class Explained extends Error {
  readonly code: string | undefined

  constructor({ said, code }: Reason, cause: unknown) {
    super(said, { cause })
    this.name = 'Explained'
    this.code = code
  }
}

/** The same error, or one whose message also says what to do. */
export function explained(error: unknown): unknown {
  const reason = reasonOf(error)
  return error instanceof Error && error.message === reason.said ? error : new Explained(reason, error)
}

/** No connection could be made; tells why for each host that was tried. */
export class Unreachable extends Error {
  readonly code: string | undefined

  constructor(tried: readonly { readonly name: string; readonly error: unknown }[]) {
    const reasons = tried.map(({ name, error }) => ({ name, ...reasonOf(error) }))
    const names = new Set(reasons.map(({ name }) => name))
    const lines = new Set(reasons.map(({ name, said }) => (names.size > 1 ? `${name}: ${said}` : said)))
    super([...lines].join('; '), { cause: tried.at(-1)?.error })
    this.name = 'Unreachable'
    this.code = reasons.findLast(({ code }) => code !== undefined)?.code
  }
}

/** The next server would refuse a wrong password as well, and a busy pool is no fault of a server. */
export function isRefusedForGood(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return (error.code ?? '').startsWith('28')
  return error instanceof Error && poolIsBusy.test(error.message)
}
