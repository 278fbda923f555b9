import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { createClientAddress } from '#http/client-address.ts'
import { createCredentialReader } from '#http/credential.ts'
import { createLog } from '#http/log.ts'
import { createThrottle } from '#http/throttle.ts'
import { openLedger } from '#metering/batcher.ts'
import type { Ledger } from '#metering/ledger.ts'
import { providers } from '#providers/all.ts'
import { accessTokenHeadersOf } from '#providers/gathered.ts'
import { openStore } from '#storage/open.ts'
import type { AdminKeyStore, Store } from '#storage/store.ts'
import { createVerifier } from '#verifier/verifier.ts'
import { by } from './by.ts'
import { type DatabaseKind, type TestDatabase, testPolicy } from './stores.ts'

/** A real verifier, with a real store and real metering behind a real port, and a settable clock. */
export interface VerifierHarness {
  readonly origin: string
  readonly port: number
  readonly store: Store
  readonly database: TestDatabase
  readonly clock: { now: number }
  readonly log: () => string
  readonly createUser: (edit?: UserEdit) => Promise<User>
  readonly userOf: (user: Pick<User, 'id'>) => Promise<User>
  /** Posts JSON with the verifier's key, unless `headers` replace it. */
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Said>
  readonly send: (path: string, init?: RequestInit) => Promise<Said>
  readonly close: () => Promise<void>
}

export interface Said {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects.
  readonly json: any
}

export const verifierKey = 'tgv-the-verifier-key-of-tests'
export const otherVerifierKey = 'tgv-the-key-of-another-verifier'
/** A key that may administer, but not use the verifier. */
export const adminOnlyKey = 'tga-an-admin-key-of-tests'

/** 2026-01-01, so that nothing in a test depends on the day it runs. */
const startAt = 1_767_225_600_000

export interface VerifierHarnessOptions {
  readonly policy?: Partial<PolicySettings>
  readonly trustedProxies?: readonly string[]
  readonly settleWaitMs?: number
  readonly bodyBytesMax?: number
  readonly wrapLedger?: (ledger: Ledger) => Ledger
  readonly wrapKeys?: (keys: AdminKeyStore) => AdminKeyStore
}

export async function openVerifierHarness(
  kind: DatabaseKind,
  options: VerifierHarnessOptions = {},
): Promise<VerifierHarness> {
  const database = await kind.create()
  const settings = { ...testPolicy, ...options.policy }
  const store = await openStore(database.settings({ policy: settings }))
  const clock = { now: startAt }
  const lines: string[] = []
  const keys = [
    { name: 'nginx', secret: verifierKey, scopes: ['verifier'] },
    { name: 'caddy', secret: otherVerifierKey, scopes: ['verifier'] },
    { name: 'ann', secret: adminOnlyKey, scopes: ['admin'] },
  ] as const
  for (const key of keys) await store.adminKeys.insertAdminKey(key, by(clock.now))
  const ledger = openLedger(store.metering, () => clock.now)
  const verifier = createVerifier({
    ledger: options.wrapLedger?.(ledger) ?? ledger,
    adminKeys: options.wrapKeys?.(store.adminKeys) ?? store.adminKeys,
    metering: store.metering,
    policy: createPolicy(settings),
    credentialOf: createCredentialReader(accessTokenHeadersOf(providers)),
    clock: () => clock.now,
    log: createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } }),
    throttle: createThrottle(() => clock.now),
    keyUsed: () => {},
    clientAddress: createClientAddress(options.trustedProxies ?? ['127.0.0.1']),
    bodyBytesMax: options.bodyBytesMax ?? 1024 * 1024,
    ...(options.settleWaitMs !== undefined && { settleWaitMs: options.settleWaitMs }),
  })
  const server = createServer((request, response) => {
    assert.ok(verifier.takes(request.url ?? ''), `${request.url} is the verifier's`)
    verifier.handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`

  async function send(path: string, init?: RequestInit): Promise<Said> {
    const answer = await fetch(origin + path, init)
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json')
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    }
  }

  return {
    origin,
    port,
    store,
    database,
    clock,
    log: () => lines.join(''),
    async createUser(edit = {}) {
      const created = await store.users.insertUser(edit, by(clock.now))
      return created.kind === 'created' ? created.user : assert.fail(created.kind)
    },
    async userOf({ id }) {
      return (await store.users.findUser({ id }, clock.now)) ?? assert.fail('the user is gone')
    },
    send,
    post: (path, body, headers = {}) =>
      send(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${verifierKey}`,
          ...headers,
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await ledger.close()
      await store.close()
      await database.remove()
    },
  }
}
