import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createAccount } from '#account/account.ts'
import { createAdminListener } from '#admin/admin-listener.ts'
import { upstreamVariables } from '#config/read.ts'
import type { Config } from '#config/settings.ts'
import type { Clock } from '#core/clock.ts'
import { createPolicy } from '#core/policy-settings.ts'
import { createGateway } from '#gateway/gateway.ts'
import { createClientAddress } from '#http/client-address.ts'
import type { Log } from '#http/log.ts'
import { createThrottle } from '#http/throttle.ts'
import { createStopper } from '#lib/stopper.ts'
import { openMeter } from '#metering/batcher.ts'
import { providers } from '#providers/all.ts'
import type { Store } from '#storage/store.ts'
import { openUpstreams } from '#upstreams/open.ts'
import { createAdminKey, withConfiguredKey } from './admin-access.ts'
import { createHealth } from './health.ts'
import { openConfiguredStore } from './instance.ts'
import { openListener } from './listener.ts'
import { withRevocation } from './revocation.ts'
import { version } from './version.ts'

const lastWordsMs = 5_000

/** A running Tollgate. */
export interface Server {
  readonly url: string
  readonly adminUrl: string
  /** The admin key that was made because there was none; said once, kept nowhere. */
  readonly madeAdminKey: string | undefined
  readonly store: Store
  /** Refuses what is new, lets what runs finish within the grace, books everything, closes. */
  readonly stop: () => Promise<void>
}

/** Opens everything in order; what fails closes again what was opened before it. */
export async function openServer(config: Config, log: Log, clock: Clock): Promise<Server> {
  const stopper = createStopper()
  try {
    return await open(config, log, clock, stopper)
  } catch (error) {
    await stopper.stop().catch((second: unknown) => log.error({ err: second }, 'closing failed'))
    throw error
  }
}

async function open(
  config: Config,
  log: Log,
  clock: Clock,
  stopper: ReturnType<typeof createStopper>,
): Promise<Server> {
  const store = await openConfiguredStore(config, clock)
  stopper.add(store.close)
  const abandoned = await store.metering.abandonEntries(clock())
  if (abandoned > 0) log.warn({ entries: abandoned }, 'charged requests that a stopped process left open')
  const madeAdminKey = await adminKeyIfNone(store, config, clock)

  const meter = openMeter(store.metering, clock, {
    onFailure: (err) => log.error({ err }, 'the store failed'),
  })
  stopper.add(meter.close)
  const upstreams = openUpstreams(config.upstreams, { providers, clock })
  stopper.add(upstreams.close)

  const shared = {
    clock,
    log,
    clientAddress: createClientAddress(config.trustedProxies),
    bodyBytesMax: config.bodyBytesMax,
  }
  const policy = createPolicy(config.policy)
  const throttle = createThrottle(clock)
  const account = createAccount({ ...shared, meter, users: store.users, policy, throttle })
  const gateway = createGateway({
    ...shared,
    meter,
    upstreams,
    providers,
    policy,
    throttle,
    knowsAccessToken: store.users.knowsAccessToken,
    limitsOf: async (accessToken) => (await store.users.findUser({ accessToken }, clock()))?.limits,
    onDisconnect: config.onDisconnect,
    inputEstimate: config.inputEstimate,
    noUpstreamMessage: `No upstream is configured for that model: set ${upstreamVariables()}, or list it under upstreams in tollgate.yaml.`,
  })
  const admin = createAdminListener({
    ...shared,
    store: {
      ...store,
      users: withRevocation(store.users, gateway.cutUser, clock),
      adminKeys: withConfiguredKey(store.adminKeys, config.adminKey),
    },
    families: config.policy.families,
    throttle: createThrottle(clock),
    bulkUsersMax: config.bulkUsersMax,
    contractText: readFileSync(new URL('../contract/openapi-admin-users.yaml', import.meta.url), 'utf8'),
    version,
  })

  const health = createHealth(store.ping)
  const isGatewayPath = (path: string) => path === '/v1' || path.startsWith('/v1/') || path.startsWith('/v1?')
  const planes: RequestListener = (request, response) => {
    const path = request.url ?? '/'
    if (health.takes(path)) health.answer(request, response)
    else if (account.takes(path)) account.handle(request, response)
    else if (config.adminPort !== undefined || isGatewayPath(path)) gateway.handle(request, response)
    else admin(request, response)
  }
  const listener = await openListener({ host: config.host, port: config.port }, planes)
  const listeners = [listener]
  if (config.adminPort !== undefined) {
    listeners.push(
      await openListener({ host: config.host, port: config.adminPort }, (request, response) =>
        health.takes(request.url ?? '/') ? health.answer(request, response) : admin(request, response),
      ),
    )
  }
  stopper.add(async () => {
    health.stopping()
    // The gateway cuts its relays at the end of the grace, and they need a moment to be told so.
    const closed = listeners.map((each) => each.close(config.stopGraceMs + lastWordsMs))
    await gateway.drain(config.stopGraceMs)
    await Promise.all(closed)
  })
  const adminUrl = listeners.at(-1)?.url ?? listener.url
  return { url: listener.url, adminUrl, madeAdminKey, store, stop: stopper.stop }
}

async function adminKeyIfNone(store: Store, config: Config, clock: Clock): Promise<string | undefined> {
  if (config.adminKey !== undefined || (await store.adminKeys.countAdminKeys()) > 0) return undefined
  return createAdminKey(store.adminKeys, 'first', clock)
}
