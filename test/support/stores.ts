import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { builtInFamilies, type Family } from '#core/family.ts'
import { outputPolicyDefault } from '#core/output-need.ts'
import type { PolicySettings } from '#core/policy-settings.ts'
import { openStore, type StoreSettings } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { createTestDatabase } from './test-databases.ts'

/** A real database in a folder of its own, which is removed when the test closes it. */
export interface TestDatabase {
  readonly name: string
  /** The settings to open a `Store` with, as often as a test needs. */
  readonly settings: (changes?: Partial<StoreSettings>) => StoreSettings
  /**
   * The environment to start the program with; a server's database leaves the choice of the data folder to the test.
   */
  readonly env: Readonly<Record<string, string>>
  /** Reads tables directly. */
  readonly rows: (query: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Changes a table directly, as a careless operator might. */
  readonly change: (statement: string) => Promise<void>
  readonly remove: () => Promise<void>
}

/** Without the catch-all family, so that some models have no family. */
export const closedFamilies: readonly Family[] = builtInFamilies.filter(({ models }) => !models.includes('*'))

export const testPolicy: PolicySettings = {
  families: closedFamilies,
  limits: {},
  defaults: {},
  output: { ...outputPolicyDefault, unstated: 1000 },
  timeZone: 'UTC',
}

/** A kind of database, with its name in test suites. */
export interface DatabaseKind {
  readonly name: string
  readonly create: () => Promise<TestDatabase>
}

/** Every kind of database that the suites run on; TEST_DATABASES=sqlite or postgres leaves the other out. */
export const databases: readonly DatabaseKind[] = [
  { name: 'SQLite', create: async () => createSqlite() },
  { name: 'PostgreSQL', create: () => createPostgres() },
].filter(({ name }) => name.toLowerCase().startsWith(process.env.TEST_DATABASES ?? ''))
// Suites without any database would always pass.
const [first] = databases
if (first === undefined) throw new Error(`TEST_DATABASES: there is no ${process.env.TEST_DATABASES}`)
/** One kind, for tests whose result does not depend on the database. */
export const anyDatabase: DatabaseKind = first

const masterKey = Buffer.alloc(32, 7)

/** @param server the URL of the test's own server, where the shared one must not be harmed */
export async function createPostgres(server?: string): Promise<TestDatabase & { readonly url: string }> {
  const { url, query, drop } = await createTestDatabase(server)
  return {
    name: 'PostgreSQL',
    url,
    settings: (changes) => ({
      database: { kind: 'postgres', url },
      masterKey,
      policy: testPolicy,
      instance: 'test',
      ...changes,
    }),
    env: { DATABASE_URL: url, MASTER_KEY: masterKey.toString('hex') },
    rows: query,
    change: async (statement) => void (await query(statement)),
    remove: drop,
  }
}

function createSqlite(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-store-'))
  return {
    name: 'SQLite',
    settings: (changes) => ({
      database: { kind: 'sqlite', path: join(folder, 'tollgate.db') },
      masterKey,
      policy: testPolicy,
      instance: 'test',
      ...changes,
    }),
    env: { DATA_DIR: folder, MASTER_KEY: masterKey.toString('hex') },
    async rows(query) {
      const db = new DatabaseSync(join(folder, 'tollgate.db'), { readOnly: true })
      try {
        return db
          .prepare(query)
          .all()
          .map((row) => ({ ...row }))
      } finally {
        db.close()
      }
    },
    async change(statement) {
      // The program may be writing.
      const db = new DatabaseSync(join(folder, 'tollgate.db'), { timeout: 5_000 })
      db.exec(statement)
      db.close()
    },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Opens a fresh store, runs the test with it, and removes everything afterwards. */
export async function withStore(
  create: () => Promise<TestDatabase>,
  run: (store: Store, database: TestDatabase) => Promise<void>,
  changes?: Partial<StoreSettings>,
): Promise<void> {
  const database = await create()
  const store = await openStore(database.settings(changes))
  try {
    await run(store, database)
  } finally {
    await store.close()
    await database.remove()
  }
}
