import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { startDatabaseServer } from '../../test/support/database-server.ts'
import { type Program, runProgram, startProgram } from '../../test/support/process.ts'

/** The program as users start it, on a database of its own, and its observable state. */
export interface Product {
  readonly url: string
  readonly program: Program
  readonly adminKey: string
  /** Open entries and reservations in the database. */
  readonly look: () => Promise<{ readonly open: number; readonly reserved: number }>
  /** Bytes of SQLite's log; undefined where the database has none. */
  readonly logBytes: () => number | undefined
  /** Makes a backup into a file; undefined for a database that Tollgate does not back up. */
  readonly backUp:
    | ((file: string) => Promise<{ readonly code: number | null; readonly output: string }>)
    | undefined
  /** Stops it as an operator does; returns its exit code. */
  readonly stop: () => Promise<number | null>
  readonly close: () => Promise<void>
}

const adminKey = 'soak-admin-key-1'
const openSql = "select count(*) as figure from entries where state = 'open'"
const reservedSql = 'select coalesce(sum(reserved), 0) as figure from quotas'

interface Database {
  readonly env: Readonly<Record<string, string>>
  readonly ask: (sql: string) => Promise<number>
  readonly close: () => Promise<void>
}

/** @param folder where everything is written */
export async function startProduct(folder: string, upstream: string, isShared: boolean): Promise<Product> {
  const dataDir = join(folder, 'data')
  mkdirSync(dataDir, { mode: 0o700 })
  const database = isShared ? await sharedDatabase() : embeddedDatabase(dataDir)
  const env = {
    ...{ PORT: '0', DATA_DIR: dataDir, ADMIN_KEY: adminKey },
    ...{ OPENAI_BASE_URL: `${upstream}/v1`, ANTHROPIC_BASE_URL: upstream },
    // The arguments that `npm start` passes to node.
    NODE_OPTIONS: '--max-semi-space-size=32',
    ...database.env,
  }
  const program = startProgram([], env)
  const url = await program.listening
  return {
    url,
    program,
    adminKey,
    look: async () => ({ open: await database.ask(openSql), reserved: await database.ask(reservedSql) }),
    logBytes: () =>
      isShared
        ? undefined
        : (statSync(join(dataDir, 'tollgate.db-wal'), { throwIfNoEntry: false })?.size ?? 0),
    backUp: isShared ? undefined : (file) => runProgram(['backup', file], env),
    stop: () => {
      program.process.kill('SIGTERM')
      return program.exit
    },
    async close() {
      if (program.process.exitCode === null) program.process.kill('SIGKILL')
      await program.exit
      await database.close()
    },
  }
}

function embeddedDatabase(dataDir: string): Database {
  return {
    env: {},
    // Opened for each query, so that a checkpoint need not wait for a reader.
    async ask(sql) {
      const db = new DatabaseSync(join(dataDir, 'tollgate.db'), { readOnly: true, timeout: 2000 })
      try {
        return Number(db.prepare(sql).get()?.figure)
      } finally {
        db.close()
      }
    },
    close: async () => undefined,
  }
}

async function sharedDatabase(): Promise<Database> {
  const server = await startDatabaseServer({ isSynced: true })
  const first = new pg.Client(server.urlOf('postgres'))
  await first.connect()
  await first.query('create database soak')
  await first.end()
  const url = server.urlOf('soak')
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  return {
    env: { DATABASE_URL: url, MASTER_KEY: '07'.repeat(32) },
    ask: async (sql) => Number((await pool.query(sql)).rows[0].figure),
    async close() {
      await pool.end()
      await server.stop()
    },
  }
}
