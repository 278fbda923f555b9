import { subscribe } from 'node:diagnostics_channel'
import { openSync, writeSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { isMainThread } from 'node:worker_threads'
import type pg from 'pg'
import { textOf, wrap } from './wrapped-calls.ts'

/**
 * A crash at a chosen write. A program that is started with this environment loads this file before its own. From the
 * first relay on it counts the main thread's writes to the database, which are those of admission and settlement, and
 * ends the process right before or right after the chosen one. On PostgreSQL "before" is before the statement is
 * sent, and "after" is when its answer has come.
 */
export interface KillPoint {
  readonly when: 'before' | 'after'
  /** The number of the write, from 1. */
  readonly write: number
}

/** @param log a file that gets a line for each write, and one for the kill */
export function killPointEnv(log: string, point?: KillPoint): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${import.meta.url}`,
    KILL_LOG: log,
    KILL_POINT: point ? nameOf(point) : '',
  }
}

export const killedLine = (point: KillPoint): string => `killed ${nameOf(point)}`

const nameOf = ({ when, write }: KillPoint): string => `${when}:${write}`

// Threads inherit what the process was told to load.
if (isMainThread && process.env.KILL_LOG !== undefined)
  await arm(process.env.KILL_LOG, process.env.KILL_POINT)

async function arm(path: string, asked: string | undefined): Promise<void> {
  const log = openSync(path, 'w')
  let isRelaying = false
  let writes = 0
  subscribe('http.server.request.start', (message) => {
    // The message of node:http's channel, whose type is open.
    const { request } = message as { readonly request: IncomingMessage }
    if (request.method === 'POST' && request.url?.startsWith('/v1/')) isRelaying = true
  })

  function dieAt(point: KillPoint): void {
    if (nameOf(point) !== asked) return
    writeSync(log, `${killedLine(point)}\n`)
    process.kill(process.pid, 'SIGKILL')
    // Blocks this thread, so that it runs no further instruction before the signal arrives.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  function pass(source: string, work: () => unknown): unknown {
    const what = isRelaying ? writeIn(source) : undefined
    if (what === undefined) return work()
    writes += 1
    const write = writes
    const end = () => {
      writeSync(log, `${what}\n`)
      dieAt({ when: 'after', write })
    }
    dieAt({ when: 'before', write })
    const result = work()
    if (result instanceof Promise) result.then(end, () => undefined)
    else end()
    return result
  }

  if (process.env.DATABASE_URL !== undefined) {
    const { default: pg } = await import('pg')
    // Only metering's connections are pipelined; the others serve administrators and background work.
    const sourceOf = (client: unknown, query: unknown) =>
      (client as pg.Client).pipeline ? textOf(query) : ''
    wrap(pg.Client.prototype, 'query', sourceOf, pass)
    return
  }

  // A write that returns rows does not use `run`.
  for (const name of ['run', 'get', 'all'])
    wrap(StatementSync.prototype, name, (statement) => (statement as StatementSync).sourceSQL, pass)
  wrap(DatabaseSync.prototype, 'exec', (_, source) => String(source), pass)
}

/** The heartbeat's check whether a batch could be written: it comes at any time and writes nothing. */
const look = /^begin immediate; commit$/i

function writeIn(source: string): string | undefined {
  if (look.test(source)) return undefined
  return /^\s*(begin|commit|insert into \w+|update \w+|delete from \w+)/i.exec(source)?.[1]?.toLowerCase()
}
