import pg from 'pg'
import { isRefusedForGood, Unreachable } from './reasons.ts'
import type { Servers, Way } from './servers.ts'

/**
 * Prepares a new connection. Settings are sent by a statement after connecting, since poolers refuse them as startup
 * parameters. Behind a pooler the next transaction may run on another server connection, and a setting of the session
 * would reach another client. There the settings are sent with each transaction, in the message that begins it.
 */
export interface Session {
  /** Begins a transaction with its settings, in one message. */
  readonly begin: string
  readonly isPooled: boolean
  readonly servers: Servers
}

export type Settings = Readonly<Record<string, string>>

const sessions = new WeakMap<object, Session>()

export function sessionOf(client: object): Session | undefined {
  return sessions.get(client)
}

export function beginOn(client: object): string {
  return sessions.get(client)?.begin ?? 'begin'
}

/** The name to prepare a statement under; undefined where the pooler does not allow one. */
export function nameOn(client: object, name: string): string | undefined {
  return sessions.get(client)?.servers.mayName() === false ? undefined : name
}

export class OnlyReads extends Error {
  constructor({ url }: Servers) {
    const remedy = '; name all hosts in the URL, and the one that is written to is found'
    super(`the server only reads, as a standby does${url.hosts.length === 1 ? remedy : ''}`)
    this.name = 'OnlyReads'
  }
}

/** One round trip. Throws where the server is read-only. */
export async function openSession(
  client: pg.Client,
  servers: Servers,
  ours: Settings,
  timeoutMs: number,
): Promise<void> {
  // The operator's URL takes precedence.
  const settings = Object.entries(ours).map(
    ([name, value]) => [name, servers.url.settings.get(name) ?? value] as const,
  )
  // A pooler makes up the cancellation key, so its process id belongs to no process of the database.
  const pid = 'processID' in client ? Number(client.processID) : 0
  const set = settings.map(
    (_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, pg_backend_pid() <> ${pid})`,
  )
  const question: pg.QueryArrayConfig & { readonly query_timeout: number } = {
    text: `select ${['pg_backend_pid()', "current_setting('transaction_read_only')", ...set].join(', ')}`,
    values: settings.flat(),
    rowMode: 'array',
    query_timeout: timeoutMs,
  }
  const { rows } = await client.query<unknown[]>(question)
  const [server, readOnly] = rows[0] ?? []
  if (readOnly === 'on') throw new OnlyReads(servers)
  const isPooled = server !== pid
  const local = settings.map(([name, value]) => `set local ${name} = ${pg.escapeLiteral(value)}`)
  sessions.set(client, {
    begin: isPooled ? ['begin', ...local].join('; ') : 'begin',
    isPooled,
    servers,
  })
}

/** Tries each way once, starting with the last one that worked. */
export async function byAnyWay<T>(servers: Servers, open: (way: Way) => Promise<T>): Promise<T> {
  const tried: { readonly name: string; readonly error: unknown }[] = []
  while (tried.length < servers.count) {
    const way = servers.current()
    try {
      return await open(way)
    } catch (error) {
      tried.push({ name: way.name, error })
      if (isRefusedForGood(error)) break
      servers.leave(way)
    }
  }
  throw new Unreachable(tried)
}
