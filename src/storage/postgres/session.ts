import pg from 'pg'
import { isRefusedForGood, Unreachable } from './reasons.ts'
import type { Servers, Way } from './servers.ts'

/**
 * What a connection is made ready with. Settings go by a statement after connecting: poolers refuse them at its start.
 * Where a pooler is between, the next transaction may run on another connection to the database, and what was set for
 * this one would be another client's: there they are set for each transaction, in the message that begins it.
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

/** The name to prepare a statement under, where that may be. */
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

/** One round trip. Throws where the server only reads. */
export async function openSession(
  client: pg.Client,
  servers: Servers,
  ours: Settings,
  timeoutMs: number,
): Promise<void> {
  // What the operator's URL says wins.
  const settings = Object.entries(ours).map(
    ([name, value]) => [name, servers.url.settings.get(name) ?? value] as const,
  )
  // A pooler names no process of the database's, as it makes up the key by which statements are canceled.
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

/** Tries each way once, from the one that was good last. */
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
