import { type DatabaseServer, startDatabaseServer } from './database-server.ts'

/**
 * One database server for a whole run: `npm test` loads this file, and the tests find the server in the environment.
 */
let server: DatabaseServer | undefined

export async function globalSetup(): Promise<void> {
  if (process.env.TEST_DATABASES === 'sqlite') return
  server = await startDatabaseServer()
  process.env.TEST_POSTGRES_URL = server.urlOf('postgres')
}

export async function globalTeardown(): Promise<void> {
  await server?.stop()
}
