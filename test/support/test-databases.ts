import pg from 'pg'
import { startDatabaseServer } from './database-server.ts'

/** Databases on one server: that of the whole run, or one for a file that runs alone. */
export interface TestDatabaseUrl {
  readonly url: string
  readonly query: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  readonly drop: () => Promise<void>
}

let serverUrl: Promise<string> | undefined
let made = 0

function runsServer(): Promise<string> {
  const given = process.env.TEST_POSTGRES_URL
  if (given !== undefined) return Promise.resolve(given)
  // Its guard stops it with this process: a hook set here would belong to the first test that asked.
  serverUrl ??= startDatabaseServer().then((server) => server.urlOf('postgres'))
  return serverUrl
}

const [int8, numeric] = [20, 1700]
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 || oid === numeric ? Number : pg.types.getTypeParser(oid, format),
}

async function ask(url: string, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: url, types })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}

/** @param at the URL of the test's own server, which the test may let fail */
export async function createTestDatabase(at?: string): Promise<TestDatabaseUrl> {
  const server = at ?? (await runsServer())
  const name = `tollgate_test_${process.pid}_${++made}`
  await ask(server, `create database ${name}`)
  const named = new URL(server)
  named.pathname = `/${name}`
  const url = named.href
  return {
    url,
    query: (text) => ask(url, text),
    drop: async () => {
      await ask(server, `drop database if exists ${name} with (force)`)
    },
  }
}
