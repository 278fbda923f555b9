import { readFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminOptions } from '#admin/app.ts'
import { createAdminListener } from '#admin/listener.ts'
import { createTokenReadings } from '#admin/request/token-readings.ts'
import { readConfig } from '#config/read.ts'
import { shownSettings } from '#config/shown.ts'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import { sessionTimesDefault } from '#core/session.ts'
import { createClientAddress } from '#http/client-address.ts'
import { createLog } from '#http/log.ts'
import { createThrottle } from '#http/throttle.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from './by.ts'
import { type DatabaseKind, testPolicy } from './stores.ts'

/** A real control plane: a real store behind a real port, with a clock that the test sets. */
export interface AdminServer {
  readonly origin: string
  readonly port: number
  readonly store: Store
  readonly clock: { now: number }
  /** The log so far. */
  readonly log: () => string
  readonly send: (request: SentRequest) => Promise<Received>
  readonly close: () => Promise<void>
}

export interface SentRequest {
  readonly method: string
  /** Sent unchanged: not normalised, not escaped. */
  readonly path: string
  readonly body?: unknown
  /** Sent unchanged, instead of `body`. */
  readonly rawBody?: string | Buffer
  readonly headers?: Readonly<Record<string, string | undefined>>
}

export interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export const adminSecret = 'an-admin-key-for-tests'
export const otherAdminSecret = 'another-admin-key'
/** The secret of a key that cannot administer. */
export const verifierSecret = 'a-verifier-key-for-tests'
export const contractPath = new URL('../../contract/openapi-admin-users.yaml', import.meta.url)

/** 2026-01-01, so that nothing in a test depends on the day it runs. */
export const startAt = 1_767_225_600_000

/** Opens a server for a test, and closes it whatever becomes of the test. */
export async function withAdminServer(
  kind: DatabaseKind,
  use: (server: AdminServer) => Promise<unknown>,
  overrides: Parameters<typeof openAdminServer>[1] = {},
): Promise<void> {
  const server = await openAdminServer(kind, overrides)
  try {
    await use(server)
  } finally {
    await server.close()
  }
}

export async function openAdminServer(
  kind: DatabaseKind,
  overrides: Partial<Pick<AdminOptions, 'bulkUsersMax' | 'bodyBytesMax' | 'sessionTimes'>> & {
    readonly wrap?: (store: Store) => Store
    readonly policy?: Partial<PolicySettings>
    readonly tokenReadingsMs?: number
  } = {},
): Promise<AdminServer> {
  const { wrap, policy: changes, tokenReadingsMs, ...bounds } = overrides
  const policy = { ...testPolicy, ...changes }
  const database = await kind.create()
  const store = await openStore(database.settings({ policy }))
  const clock = { now: startAt }
  const keys = [
    { name: 'admin', secret: adminSecret, scopes: ['admin'] },
    { name: 'other', secret: otherAdminSecret, scopes: ['admin'] },
    { name: 'verifier', secret: verifierSecret, scopes: ['verifier'] },
  ] as const
  for (const [index, key] of keys.entries()) await store.adminKeys.insertAdminKey(key, by(clock.now + index))
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => lines.push(line) } })
  const tokenReadings = createTokenReadings(store, () => clock.now, log, tokenReadingsMs)
  const listener = createAdminListener({
    store: wrap ? wrap(store) : store,
    policy: createPolicy(policy),
    clock: () => clock.now,
    log,
    throttle: createThrottle(() => clock.now),
    namedTokens: createThrottle(() => clock.now),
    tokenReadings,
    keyUsed: () => {},
    sessionTimes: sessionTimesDefault,
    // All tests come from one address; they name their client's address as a proxy does.
    clientAddress: createClientAddress(['127.0.0.1']),
    bulkUsersMax: 20,
    bodyBytesMax: 65_536,
    contractText: readFileSync(contractPath, 'utf8'),
    facts: { version: '0.0.0-test', notes: [], settings: shownSettings(readConfig({ CONFIG: '/dev/null' })) },
    ...bounds,
  })
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    store,
    clock,
    log: () => lines.join(''),
    send: (request) => send(port, request),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await tokenReadings.close()
      await store.close()
      await database.remove()
    },
  }
}

/** Sends with the admin key unless `headers` replace it; an undefined header is left out. */
function send(port: number, { method, path, body, rawBody, headers = {} }: SentRequest): Promise<Received> {
  const payload = rawBody ?? (body === undefined ? undefined : JSON.stringify(body))
  const sent: Record<string, string | undefined> = {
    authorization: `Bearer ${adminSecret}`,
    ...(payload !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
    }),
    ...headers,
  }
  const kept = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined))
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: kept, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      },
    )
    request.on('error', reject)
    request.end(payload)
  })
}
