import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { type Guard, startGuard } from './database-guard.ts'
import { findPrograms, owner, versionOf } from './database-programs.ts'
import { freePort } from './free-port.ts'

/** A real PostgreSQL for one test, on loopback; stopping it removes all its files. */
export interface DatabaseServer {
  readonly port: number
  readonly folder: string
  /** Its major version. */
  readonly version: number
  /** The folder of its programs. */
  readonly programs: string
  readonly urlOf: (database: string) => string
  /** The process id; undefined while it is stopped. */
  readonly pid: () => number | undefined
  /** Its log so far. */
  readonly log: () => string
  /** `immediate` is a crash: clients are not told, and uncommitted data is gone. */
  readonly restart: (mode: 'fast' | 'immediate') => Promise<void>
  /** Stops the server until `resume`; `killed` is a SIGKILL, which leaves no time to write anything. */
  readonly halt: (mode?: Halt) => Promise<void>
  readonly resume: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface ServerOptions {
  /**
   * Syncs to disk as in production. Without it tests are faster, and a crash of the server alone still loses nothing.
   */
  readonly isSynced?: boolean
}

type Halt = 'fast' | 'immediate' | 'killed'

/** PostgreSQL's signals: SIGINT aborts running transactions, SIGQUIT ends at once. */
const signals: Readonly<Record<Halt, NodeJS.Signals>> = {
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
  killed: 'SIGKILL',
}

/** A start can fail for a moment after a kill, until the old process's resources are released. */
const startMs = 15_000
const password = 'a-test-password'

export async function startDatabaseServer({ isSynced = false }: ServerOptions = {}): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-postgres-'))
  const guard = startGuard(folder)
  try {
    giveAway(folder)
    const programs = findPrograms(folder)
    await initialise(folder, programs, guard, isSynced)
    return await serve(folder, programs, guard, isSynced)
  } catch (error) {
    guard.dismiss()
    throw error
  }
}

/**
 * A streaming standby. The primary is halted while its folder is copied, since the test package has no program for a
 * base backup. `pg_promote()` makes it the primary.
 *
 * @param port the port of the primary, or of a failing network in front of it
 */
export async function startStandby(primary: DatabaseServer, port = primary.port): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-standby-'))
  const guard = startGuard(folder)
  try {
    giveAway(folder)
    const data = join(folder, 'data')
    await primary.halt('fast')
    execFileSync('cp', ['-a', join(primary.folder, 'data'), data])
    await primary.resume()
    const conninfo = `host=127.0.0.1 port=${port} user=postgres password=${password}`
    appendFileSync(
      join(data, 'postgresql.auto.conf'),
      `primary_conninfo = '${conninfo}'\nwal_retrieve_retry_interval = '200ms'\n`,
    )
    writeFileSync(join(data, 'standby.signal'), '')
    giveAway(join(data, 'standby.signal'))
    return await serve(folder, primary.programs, guard, false)
  } catch (error) {
    guard.dismiss()
    throw error
  }
}

function giveAway(path: string): void {
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(path, owner.uid, owner.gid)
}

/**
 * Sorts by a language's rules and not by bytes, unlike SQLite and C.UTF-8: a comparison without an explicit collation
 * then shows. Before version 15 only the machine's own locales are available, and there may be no other.
 */
function collationOf(version: number): readonly string[] {
  const icu = ['--locale-provider=icu', '--icu-locale=en-US']
  return ['--locale=C.UTF-8', ...(version < 15 ? [] : icu)]
}

async function initialise(folder: string, programs: string, guard: Guard, isSynced: boolean): Promise<void> {
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  mkdirSync(data)
  writeFileSync(passwordFile, password)
  for (const path of [data, passwordFile]) giveAway(path)
  const args = [
    ...['-D', data, '-U', 'postgres', '-E', 'UTF8', ...collationOf(versionOf(programs))],
    ...['--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    ...(isSynced ? [] : ['--no-sync']),
  ]
  // Detached, so that Ctrl-C at the terminal lets it finish its second of work.
  const child = spawn(join(programs, 'initdb'), args, {
    ...owner,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  guard.watch(child.pid, 'await')
  let said = ''
  child.stderr.on('data', (data) => (said += data))
  const [code] = await once(child, 'close')
  guard.watch(undefined)
  if (code !== 0) throw new Error(`initdb failed: ${said}`)
}

async function serve(
  folder: string,
  programs: string,
  guard: Guard,
  isSynced: boolean,
): Promise<DatabaseServer> {
  const port = await freePort()
  const urlOf = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    max_connections: '200',
    fsync: isSynced ? 'on' : 'off',
    full_page_writes: isSynced ? 'on' : 'off',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const logFile = join(folder, 'log')
  const log = () => readFileSync(logFile, 'utf8')
  let running: ChildProcess | undefined
  let gone: Promise<unknown> = Promise.resolve()
  let wasKilled = false

  function spawnServer(): ChildProcess {
    const written = openSync(logFile, 'a')
    const child = spawn(join(programs, 'postgres'), ['-D', join(folder, 'data'), ...args], {
      ...owner,
      stdio: ['ignore', 'ignore', written],
    })
    closeSync(written)
    guard.watch(child.pid)
    // A server that a test does not stop must not keep the process alive; the guard stops it.
    child.unref()
    gone = new Promise<void>((resolve) => {
      const end = () => {
        if (running === child) running = undefined
        guard.watch(undefined)
        resolve()
      }
      child.once('exit', end)
      child.once('error', end)
    })
    running = child
    return child
  }

  async function resume(): Promise<void> {
    for (const until = Date.now() + startMs; ; await wait(200)) {
      const child = spawnServer()
      if (await answers(urlOf('postgres'), () => running === child, until)) return
      if (Date.now() < until) continue
      await end('killed')
      throw new Error(`PostgreSQL does not start: ${log().slice(-2000)}`)
    }
  }

  async function end(mode: Halt): Promise<void> {
    wasKilled = mode === 'killed'
    running?.ref()
    running?.kill(signals[mode])
    await gone
  }

  await resume()
  return {
    port,
    folder,
    version: versionOf(programs),
    programs,
    urlOf,
    pid: () => running?.pid,
    log,
    restart: async (mode) => {
      await end(mode)
      await resume()
    },
    halt: (mode = 'fast') => end(mode),
    resume,
    async stop() {
      // Shared memory outlives a kill, and only the server's own next start releases it.
      if (wasKilled && running === undefined) await resume()
      await end('immediate')
      rmSync(folder, { recursive: true, force: true, maxRetries: 20 })
      guard.dismiss()
    },
  }
}

/** Whether the server accepts statements in time; false as soon as its process is gone. */
async function answers(url: string, isThere: () => boolean, until: number): Promise<boolean> {
  for (; isThere() && Date.now() < until; await wait(25)) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch {
      // Not yet.
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  return false
}
