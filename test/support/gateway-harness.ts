import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createAccount } from '#account/account.ts'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import type { Settlement } from '#core/settlement.ts'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { createGateway, type Gateway, type GatewayOptions } from '#gateway/gateway.ts'
import { createUpstreamLog } from '#gateway/upstream-log.ts'
import { createClientAddress } from '#http/client-address.ts'
import { createCredentialReader } from '#http/credential.ts'
import { inTurn } from '#http/in-turn.ts'
import { createLog } from '#http/log.ts'
import { createThrottle } from '#http/throttle.ts'
import { openLedger } from '#metering/batcher.ts'
import { createInputCorrections } from '#metering/input-corrections.ts'
import type { Ledger } from '#metering/ledger.ts'
import { providers as allProviders } from '#providers/all.ts'
import { accessTokenHeadersOf } from '#providers/gathered.ts'
import type { Provider } from '#providers/provider.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { openUpstreams } from '#upstreams/open.ts'
import { by } from './by.ts'
import { assertInvariants } from './invariants.ts'
import { type DatabaseKind, type TestDatabase, testPolicy } from './stores.ts'

/** A real data plane: a real store, real metering, real connections; settlements are recorded. */
export interface Harness {
  readonly origin: string
  readonly port: number
  readonly store: Store
  readonly database: TestDatabase
  readonly gateway: Gateway
  /** All admissions with units, and all settlements, in order. */
  readonly admitted: readonly string[]
  readonly settlements: readonly Settlement[]
  readonly log: () => string
  /** Moves the clock forward; sockets and timers keep real time. */
  readonly shiftClock: (ms: number) => void
  readonly createUser: (edit?: UserEdit) => Promise<string>
  readonly userOf: (accessToken: string) => Promise<User>
  readonly usedBy: (accessToken: string) => Promise<number>
  /** Waits until no relay is open, and checks that each was settled exactly once and that the account adds up. */
  readonly settle: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface HarnessOptions {
  readonly upstreams: readonly UpstreamConfig[]
  /** Absent: those of the product. */
  readonly providers?: readonly Provider[]
  readonly policy?: Partial<PolicySettings>
  readonly gateway?: Partial<GatewayOptions>
  /** Wraps the gateway's ledger. */
  readonly wrapLedger?: (ledger: Ledger) => Ledger
}

export async function openHarness(kind: DatabaseKind, options: HarnessOptions): Promise<Harness> {
  const { providers = allProviders } = options
  const database = await kind.create()
  const policySettings = { ...testPolicy, ...options.policy }
  const store = await openStore(database.settings({ policy: policySettings }))
  let shift = 0
  const clock = () => Date.now() + shift
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const ledger = openLedger(store.metering, clock)
  const counted = countLedger(options.wrapLedger?.(ledger) ?? ledger)
  const upstreams = openUpstreams(options.upstreams, { providers, clock, onNews: createUpstreamLog(log) })
  const policy = createPolicy(policySettings)
  const throttle = createThrottle(clock)
  const clientAddress = createClientAddress(['127.0.0.1'])
  const gateway = createGateway({
    ledger: counted.ledger,
    upstreams,
    providers,
    policy,
    clock,
    log,
    throttle,
    clientAddress,
    corrections: createInputCorrections(),
    bodyBytesMax: 1024 * 1024,
    knowsAccessToken: store.users.knowsAccessToken,
    frontEnds: store.frontEnds,
    limitsOf: async (accessToken) => (await store.users.findUser({ accessToken }, clock()))?.limits,
    ...options.gateway,
  })
  const account = createAccount({
    credentialOf: createCredentialReader(accessTokenHeadersOf(providers)),
    ledger,
    users: store.users,
    usage: store.usage,
    policy,
    clock,
    log,
    throttle,
    clientAddress,
  })
  const server = createServer(
    inTurn((request, response) => {
      if (account.takes(request.url ?? '')) account.handle(request, response)
      else gateway.handle(request, response)
    }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  async function userOf(accessToken: string): Promise<User> {
    const user = await store.users.findUser({ accessToken }, clock())
    assert.ok(user, 'the user is there')
    return user
  }

  async function settle(): Promise<void> {
    await waitUntil(() => gateway.openRelays() === 0, 'no relay is open')
    const ids = counted.settlements.map(({ requestId }) => requestId)
    assert.deepEqual(ids.toSorted(), counted.admitted.toSorted(), 'each admission has one settlement')
    await assertInvariants(database)
    const open = await database.rows("select id from entries where state = 'open'")
    assert.deepEqual(open, [], 'no entry is open')
  }

  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    store,
    database,
    gateway,
    admitted: counted.admitted,
    settlements: counted.settlements,
    log: () => lines.join(''),
    shiftClock: (ms) => {
      shift += ms
    },
    async createUser(edit = {}) {
      const created = await store.users.insertUser(edit, by(clock()))
      assert.equal(created.kind, 'created')
      return created.kind === 'created' ? created.user.accessToken : ''
    },
    userOf,
    async usedBy(accessToken) {
      const { quotas } = await userOf(accessToken)
      return [...quotas.values()].reduce((sum, { used }) => sum + used, 0)
    },
    settle,
    async close() {
      await gateway.drain(0)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await upstreams.close()
      await ledger.close()
      await store.close()
      await database.remove()
    },
  }
}

function countLedger(ledger: Ledger) {
  const admitted: string[] = []
  const settlements: Settlement[] = []
  const counting: Ledger = {
    async admit(ask) {
      const outcome = await ledger.admit(ask)
      if (outcome.kind === 'admitted' && ask.units) admitted.push(ask.requestId)
      return outcome
    },
    settle(settlement) {
      settlements.push(settlement)
      return ledger.settle(settlement)
    },
    count: ledger.count,
    close: ledger.close,
  }
  return { ledger: counting, admitted, settlements }
}

/** Waits for a condition, not for a time; on timeout it fails with the condition's name. */
export async function waitUntil(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 5000,
): Promise<void> {
  const until = Date.now() + timeoutMs
  while (!(await isSo())) {
    assert.ok(Date.now() < until, `waited in vain until ${what}`)
    await setTimeout(2)
  }
}

/** An upstream of either protocol at an address; the path below it is the protocol's. */
export function upstreamAt(
  origin: string,
  more: Partial<UpstreamConfig> & { readonly provider: 'openai' | 'anthropic' },
): UpstreamConfig {
  const path = more.provider === 'openai' ? '/v1' : ''
  return { name: more.provider, baseUrl: origin + path, apiKey: 'upstream-secret', models: ['*'], ...more }
}
