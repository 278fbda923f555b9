import pg from 'pg'
import { startDatabaseServer } from './database-server.ts'

/** Databases on one server: the run's, or where a file is run alone one of its own. */
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
  // It ends with this process, by its guard: a hook set in here would be that of the test that happened to ask first.
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

/** @param at the URL of a server of the test's own, which may then fail as the run's may not */
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
