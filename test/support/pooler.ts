import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { startGuard } from './database-guard.ts'
import { owner } from './database-programs.ts'
import { needProgram } from './debian.ts'
import { freePort } from './free-port.ts'

/** PgBouncer in front of a database server, with its defaults unless a test sets others. */
export interface Pooler {
  readonly port: number
  /** The same URL, through the pooler. */
  readonly through: (url: string) => string
  /** Its log so far. */
  readonly log: () => string
  /** Its own statistics: `show pools` and the like. */
  readonly show: (what: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Restarts it with other settings, on the same port. */
  readonly restart: (settings: PoolerSettings) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Lines of the section [pgbouncer] of its configuration. */
export type PoolerSettings = Readonly<Record<string, string>>

/** Debian's PgBouncer, or the one that TEST_PGBOUNCER names, so that the suites can run on any version. */
function findPooler(): string {
  const named = process.env.TEST_PGBOUNCER
  return named === undefined || named === '' ? needProgram('pgbouncer') : named
}

/** From version 1.21 on it supports prepared statements in transaction pooling, unless configured not to. */
export function keepsStatements(): boolean {
  const { stdout } = spawnSync(findPooler(), ['--version'], { encoding: 'utf8' })
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout) ?? []
  return Number(major) > 1 || Number(minor) >= 21
}

/** @param serverUrl a URL of the server, with the user and password for the pooler */
export async function startPooler(serverUrl: string, settings: PoolerSettings = {}): Promise<Pooler> {
  const program = findPooler()
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-pooler-'))
  const guard = startGuard(folder)
  const server = new URL(serverUrl)
  const port = await freePort()
  let running: ChildProcess | undefined

  const write = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    giveAway(path)
    return path
  }
  const users = write('users.txt', `"${server.username}" "${decodeURIComponent(server.password)}"\n`)
  const log = write('log', '')
  giveAway(folder)

  async function start(more: PoolerSettings): Promise<void> {
    const all = {
      listen_addr: '127.0.0.1',
      listen_port: String(port),
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: users,
      admin_users: server.username,
      logfile: log,
      ...more,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
    const databases = `* = host=${server.hostname} port=${server.port}`
    const config = write('pgbouncer.ini', `[databases]\n${databases}\n[pgbouncer]\n${lines.join('\n')}\n`)
    const child = spawn(program, [config], { ...owner, stdio: 'ignore' })
    child.unref()
    guard.watch(child.pid)
    running = child
    for (const until = Date.now() + 10_000; !(await answers()); await wait(25))
      if (Date.now() > until || child.exitCode !== null)
        throw new Error(`PgBouncer does not start: ${readFileSync(log, 'utf8').slice(-2000)}`)
  }

  const through = (url: string) => {
    const changed = new URL(url)
    changed.port = String(port)
    return changed.href
  }

  async function show(what: string) {
    const url = new URL(through(serverUrl))
    url.pathname = '/pgbouncer'
    const client = new pg.Client({ connectionString: url.href })
    client.on('error', () => {})
    await client.connect()
    try {
      const { rows } = await client.query<Record<string, unknown>>(`show ${what}`)
      return rows
    } finally {
      await client.end()
    }
  }

  const answers = () =>
    show('version').then(
      () => true,
      () => false,
    )

  async function end(): Promise<void> {
    const child = running
    running = undefined
    if (!child || child.exitCode !== null) return
    child.ref()
    const gone = once(child, 'exit')
    // At once, without waiting for its clients.
    child.kill('SIGTERM')
    await gone
    guard.watch(undefined)
  }

  const stop = async () => {
    await end()
    rmSync(folder, { recursive: true, force: true })
    guard.dismiss()
  }

  try {
    await start(settings)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    through,
    show,
    log: () => readFileSync(log, 'utf8'),
    async restart(changed) {
      await end()
      await start(changed)
    },
    stop,
  }
}

function giveAway(path: string): void {
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(path, owner.uid, owner.gid)
}
