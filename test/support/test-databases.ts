import { after } from 'node:test'
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

function findServer(): Promise<string> {
  const given = process.env.TEST_POSTGRES_URL
  if (given !== undefined) return Promise.resolve(given)
  return startDatabaseServer().then((server) => {
    after(server.stop)
    return server.urlOf('postgres')
  })
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

export async function createTestDatabase(): Promise<TestDatabaseUrl> {
  serverUrl ??= findServer()
  const server = await serverUrl
  const name = `tollgate_test_${process.pid}_${++made}`
  await ask(server, `create database ${name}`)
  const at = new URL(server)
  at.pathname = `/${name}`
  const url = at.href
  return {
    url,
    query: (text) => ask(url, text),
    drop: async () => {
      await ask(server, `drop database if exists ${name} with (force)`)
    },
  }
}
