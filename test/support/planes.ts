import { readConfig } from '#config/read.ts'
import { createAccessToken } from '#core/access-token.ts'
import { createLog } from '#http/log.ts'
import { openServer } from '#server.ts'
import type { Store } from '#storage/store.ts'
import { by } from './by.ts'
import { makeFolder } from './folder.ts'
import { type Answer, type Call, call } from './gateway-client.ts'
import { createPostgres, type DatabaseKind } from './stores.ts'

/** The whole server in this process, all planes behind one port, with a settable clock. */
export interface Planes {
  readonly port: number
  /** Of the admin API, where it has a listener of its own. */
  readonly adminPort: number
  readonly origin: string
  readonly store: Store
  readonly wall: { now: number }
  readonly log: () => string
  /** A request from a given address. */
  readonly from: (address: string, asked: Call) => Promise<Answer>
  readonly createUser: (edit?: object) => Promise<string>
  /** A user with a given access token. */
  readonly createChosen: (accessToken: string) => Promise<string>
  readonly close: () => Promise<void>
}

export const planesAdminKey = 'a-test-admin-key-1'

export async function openPlanes(
  kind: DatabaseKind,
  env: Readonly<Record<string, string>> = {},
): Promise<Planes> {
  const folder = makeFolder()
  const database = kind.name === 'PostgreSQL' ? await createPostgres() : undefined
  const wall = { now: Date.now() }
  const lines: string[] = []
  const config = readConfig({
    DATA_DIR: folder.path,
    PORT: '0',
    MASTER_KEY: '07'.repeat(32),
    ADMIN_KEY: planesAdminKey,
    TRUSTED_PROXIES: '127.0.0.1',
    ...(database && { DATABASE_URL: database.url }),
    ...env,
  })
  const log = createLog({ level: 'info', destination: { write: (line) => lines.push(line) } })
  const server = await openServer(config, log, () => wall.now)
  const port = Number(new URL(server.url).port)
  return {
    port,
    adminPort: Number(new URL(server.adminUrl).port),
    origin: server.url,
    store: server.store,
    wall,
    log: () => lines.join(''),
    from: (address, asked) =>
      call(port, { ...asked, headers: { 'x-forwarded-for': address, ...asked.headers } }),
    async createUser(edit = {}) {
      const accessToken = createAccessToken()
      await server.store.users.writeUsers([{ ref: { accessToken }, edit }], by(wall.now))
      return accessToken
    },
    async createChosen(accessToken) {
      await server.store.users.writeUsers([{ ref: { accessToken }, edit: {} }], by(wall.now))
      return accessToken
    },
    async close() {
      await server.stop()
      await database?.remove()
      folder.remove()
    },
  }
}
