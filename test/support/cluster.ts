import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  openSimulatedUpstream,
  type SimulatedOptions,
  type SimulatedUpstream,
} from '#upstreams/simulated/server.ts'
import { makeFolder } from './folder.ts'
import { call } from './gateway-client.ts'
import { type Program, startProgram } from './process.ts'
import { createPostgres, type TestDatabase } from './stores.ts'

/** Several instances as an operator runs them: separate processes over one PostgreSQL, with one upstream. */
export interface Cluster {
  readonly database: TestDatabase & { readonly url: string }
  readonly upstream: SimulatedUpstream
  /** In the order of their start, including those that have ended. */
  readonly instances: readonly Instance[]
  /** Starts another instance, with its own database URL where one is given. */
  readonly start: (databaseUrl?: string) => Promise<Instance>
  /** Sends an administrator's request, which must succeed. */
  readonly admin: (
    at: Instance,
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<Record<string, unknown>>
  /**
   * Stops the instances in order, then the upstream and the database; fails where an instance does not exit with 0.
   */
  readonly close: () => Promise<void>
}

export interface Instance {
  readonly port: number
  readonly program: Program
  /** The folder of its journal. */
  readonly dataDir: string
}

export interface ClusterOptions {
  readonly instances: number
  /** The URL of a database server of the test's own. */
  readonly server?: string
  /** Changes the URL by which the instances reach the database, for example to a network that fails. */
  readonly through?: (url: string) => string
  /** Changes the direct URL, for example to bypass a pooler; the same as `through` by default. */
  readonly direct?: (url: string) => string
  readonly env?: Readonly<Record<string, string>>
  /** The text of `tollgate.yaml`. */
  readonly config?: string
  readonly upstream?: Omit<SimulatedOptions, 'port'>
}

export const clusterAdminKey = 'a-test-admin-key-1'
const masterKey = Buffer.alloc(32, 7).toString('hex')

export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { through = (url: string) => url, direct, config = '' } = options
  const folder = makeFolder()
  const database = await createPostgres(options.server)
  const upstream = await openSimulatedUpstream({ port: 0, ...options.upstream })
  const instances: Instance[] = []
  writeFileSync(join(folder.path, 'tollgate.yaml'), config)

  async function start(databaseUrl = through(database.url)): Promise<Instance> {
    const dataDir = join(folder.path, `data-${programs.length + 1}`)
    const env = {
      DATABASE_URL: databaseUrl,
      ...(direct && { DATABASE_DIRECT_URL: direct(database.url) }),
      MASTER_KEY: masterKey,
      ADMIN_KEY: clusterAdminKey,
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'error',
      OPENAI_BASE_URL: `${upstream.url}/v1`,
      OPENAI_API_KEY: 'x',
      ANTHROPIC_BASE_URL: upstream.url,
      ANTHROPIC_API_KEY: 'x',
      ...options.env,
    }
    const program = startProgram([], env, folder.path)
    programs.push(program)
    const instance = { port: Number(new URL(await program.listening).port), program, dataDir }
    instances.push(instance)
    return instance
  }

  const programs: Program[] = []
  async function kill(): Promise<void> {
    for (const { process } of programs) process.kill('SIGKILL')
    await Promise.all(programs.map(({ exit }) => exit))
    await upstream.close()
    await database.remove()
    folder.remove()
  }

  try {
    // All at once, as in a deployment: one of them creates the schema.
    await Promise.all(Array.from({ length: options.instances }, () => start()))
  } catch (error) {
    await kill()
    throw error
  }
  return {
    database,
    upstream,
    instances,
    start,
    async admin({ port }, method, path, body) {
      const headers = { authorization: `Bearer ${clusterAdminKey}` }
      const answer = await call(port, { method, path, headers, ...(body !== undefined && { body }) })
      assert.equal(answer.status, 200, answer.text)
      return JSON.parse(answer.text)
    },
    async close() {
      try {
        const running = programs.filter(({ process }) => process.exitCode === null && !process.signalCode)
        for (const { process } of running) {
          process.kill('SIGTERM')
          // A process that a test has frozen must run to receive the signal.
          process.kill('SIGCONT')
        }
        for (const program of running) assert.equal(await program.exit, 0, program.output())
      } finally {
        await kill()
      }
    },
  }
}
