import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '#config/read.ts'
import { createLog } from '#http/log.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { openServer } from '../../src/server.ts'
import { type Answer, call, openRaw } from './gateway-client.ts'
import { waitUntil } from './gateway-harness.ts'
import type { DatabaseKind, TestDatabase } from './stores.ts'

/** The whole program on one port with a settable clock: the admin API makes the users, who then ask the gateway. */
export interface World {
  readonly clock: { now: number }
  readonly createUser: (fields: object) => Promise<WorldUser>
  readonly admin: (method: string, path: string, body?: object) => Promise<Answer>
  /** Sends one request and waits until it is settled; no other request of this user may run. */
  readonly ask: (user: WorldUser, ask?: Ask) => Promise<Answer>
  /** Sends one request while others run. */
  readonly askNow: (user: WorldUser, ask?: Ask) => Promise<Answer>
  /** Starts a stream that runs until the test ends it. */
  readonly hold: (user: WorldUser, ask?: Ask) => Promise<Held>
  /** Everything about a user that a request may change, from the admin API and the tables. */
  readonly stateOf: (user: WorldUser) => Promise<State>
  /** The last body that the upstream received. */
  readonly sentUpstream: () => string
  readonly close: () => Promise<void>
}

export interface WorldUser {
  readonly id: string
  readonly accessToken: string
}

export interface Ask {
  readonly model?: string
  readonly address?: string
  /** The maximum output that the request asks for; null leaves it out. */
  readonly output?: number | null
}

export interface Held {
  readonly received: () => string
  readonly end: () => Promise<void>
}

export type State = Readonly<Record<string, unknown>>

export const homeAddress = '192.0.2.1'
/** The upstream's answer to every request. */
export const unitsServed = 60
const adminKey = 'an-admin-key-for-limits'
const path = '/v1/chat/completions'

/** @param defaults the section `defaults` of the configuration file */
export async function openWorld(kind: DatabaseKind, defaults: object): Promise<World> {
  const database = await kind.create()
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-limits-'))
  const behaviour = { units: unitsServed, chunkMs: 1 }
  const upstream = await openSimulatedUpstream({ port: 0, behaviour })
  const config = join(folder, 'tollgate.yaml')
  writeFileSync(config, JSON.stringify({ defaults }))
  const env = {
    CONFIG: config,
    DATA_DIR: join(folder, 'data'),
    ...database.env,
    PORT: '0',
    ADMIN_KEY: adminKey,
    TRUSTED_PROXIES: '127.0.0.1',
    STOP_GRACE_SECONDS: '0',
    OPENAI_BASE_URL: `${upstream.url}/v1`,
  }
  // A Tuesday, away from the boundaries of all periods.
  const clock = { now: Date.parse('2026-11-24T10:17:23.456Z') }
  const server = await openServer(readConfig(env), createLog({ level: 'silent' }), () => clock.now)
  const port = Number(new URL(server.url).port)
  return {
    ...createWorld(port, clock, database, upstream),
    async close() {
      await server.stop()
      await upstream.close()
      await database.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function createWorld(
  port: number,
  clock: { now: number },
  database: TestDatabase,
  upstream: SimulatedUpstream,
): Omit<World, 'close'> {
  const headers = { authorization: `Bearer ${adminKey}` }
  const admin: World['admin'] = (method, path, body) =>
    call(port, { method, path, headers, ...(body && { body }) })

  async function json(path: string): Promise<State> {
    const { status, text } = await admin('GET', path)
    assert.equal(status, 200, text)
    return JSON.parse(text)
  }

  async function isIdle({ id }: WorldUser): Promise<boolean> {
    const open = await database.rows(`select 1 from entries where user_id = '${id}' and state = 'open'`)
    return open.length === 0
  }

  const rowsOf = (table: string, id: string, order: string) =>
    database.rows(`select * from ${table} where user_id = '${id}' order by ${order}`)

  const askNow: World['askNow'] = ({ accessToken }, { address = homeAddress, ...rest } = {}) =>
    call(port, { path, accessToken, body: bodyOf(rest), headers: { 'x-forwarded-for': address } })

  return {
    clock,
    admin,
    askNow,
    async createUser(fields) {
      const made = await admin('POST', '/admin/users', fields)
      assert.equal(made.status, 200, made.text)
      const { id, token: accessToken } = JSON.parse(made.text)
      return { id: String(id), accessToken: String(accessToken) }
    },
    async ask(user, asked) {
      const answer = await askNow(user, asked)
      await waitUntil(() => isIdle(user), 'the request is settled')
      return answer
    },
    async hold(user, { model = 'gpt-4o', ...rest } = {}) {
      const body = { ...bodyOf({ ...rest, model: `${model}@hang-after=2` }), stream: true }
      // The raw connection sends no client address, so the proxy's address counts.
      const raw = openRaw(port, { path, accessToken: user.accessToken, body })
      await waitUntil(() => raw.received().includes('data:'), 'the stream has begun')
      return {
        received: raw.received,
        async end() {
          raw.hangUp()
          await waitUntil(() => isIdle(user), 'the stream is settled')
        },
      }
    },
    async stateOf({ id }) {
      const { disabledAt: _at, disabledReason: _reason, ...user } = await json(`/admin/users/${id}`)
      return {
        user,
        quota: await json(`/admin/users/${id}/quota`),
        rate: await database.rows(`select rate_tat from users where id = '${id}'`),
        addresses: await rowsOf('addresses', id, 'address'),
        quotas: await rowsOf('quotas', id, 'family'),
        entries: await rowsOf('entries', id, 'id'),
      }
    },
    sentUpstream: () => upstream.served().at(-1)?.body ?? '',
  }
}

function bodyOf({ model = 'gpt-4o', output = unitsServed }: Omit<Ask, 'address'>) {
  return {
    model,
    messages: [{ role: 'user', content: 'Hi' }],
    ...(output !== null && { max_completion_tokens: output }),
  }
}
