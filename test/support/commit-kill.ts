import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { textOf, wrap } from './wrapped-calls.ts'

/**
 * A crash at a chosen moment at which something becomes durable: a commit, or a write outside of a transaction. A program
 * that is started with this environment loads this file before its own, in each of its threads. It counts those that touch
 * certain tables, from the moment at which a file says what to count, and ends the process right before or right after the
 * chosen one. On PostgreSQL "before" is before the statement is sent, and "after" is when its answer has come.
 */
export interface CommitKill {
  readonly when: 'before' | 'after'
  /** Its number, from 1. */
  readonly commit: number
  /** A regular expression that one of its statements matches. */
  readonly touching: string
}

/** @param place the path of a file that says, once it is there, where the process is killed: see `armKill` */
export function commitKillEnv(place: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, COMMIT_KILL: place }
}

/** Whole at once: a process may be reading it. */
export function armKill(place: string, kill: CommitKill): void {
  writeFileSync(`${place}.new`, JSON.stringify(kill))
  renameSync(`${place}.new`, place)
}

if (process.env.COMMIT_KILL !== undefined) await arm(process.env.COMMIT_KILL)

async function arm(place: string): Promise<void> {
  let asked: CommitKill | undefined
  /** The connections within a transaction, and whether it has touched the tables. */
  const open = new WeakMap<object, boolean>()
  let count = 0

  function die(when: CommitKill['when']): void {
    if (when !== asked?.when || count !== asked.commit) return
    process.kill(process.pid, 'SIGKILL')
    // Blocks this thread, so that it runs no further instruction before the signal arrives.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  /** Whether this statement makes something durable that is counted. */
  function isCounted(connection: object, source: string): boolean {
    if (/^\s*begin/i.test(source)) open.set(connection, false)
    else if (/^\s*rollback\s*$/i.test(source)) open.delete(connection)
    else if (/^\s*commit/i.test(source)) {
      const hasTouched = open.get(connection) ?? false
      open.delete(connection)
      return hasTouched
    } else if (/^\s*(insert|update|delete)/i.test(source) && new RegExp(asked?.touching ?? '').test(source)) {
      if (!open.has(connection)) return true
      open.set(connection, true)
    }
    return false
  }

  function passFor(connectionOf: (self: unknown) => object) {
    return (self: unknown, source: string, work: () => unknown): unknown => {
      if (existsSync(place)) asked ??= JSON.parse(readFileSync(place, 'utf8'))
      if (!asked || !isCounted(connectionOf(self), source)) return work()
      count += 1
      die('before')
      const result = work()
      if (result instanceof Promise)
        result.then(
          () => die('after'),
          () => undefined,
        )
      else die('after')
      return result
    }
  }

  if (process.env.DATABASE_URL !== undefined) {
    const { default: pg } = await import('pg')
    const pass = passFor((self) => self as object)
    wrap(
      pg.Client.prototype,
      'query',
      (_, query) => textOf(query),
      (source, work, self) => pass(self, source, work),
    )
    return
  }
  // A thread writes by one connection.
  const thread = {}
  const pass = passFor(() => thread)
  for (const name of ['run', 'get', 'all'])
    wrap(
      StatementSync.prototype,
      name,
      (statement) => (statement as StatementSync).sourceSQL,
      (source, work) => pass(undefined, source, work),
    )
  wrap(
    DatabaseSync.prototype,
    'exec',
    (_, source) => String(source),
    (source, work) => pass(undefined, source, work),
  )
}
