import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createAccount } from '#account/account.ts'
import { createClaims } from '#account/claims/claims.ts'
import { createAdminListener } from '#admin/listener.ts'
import { createTokenReadings } from '#admin/request/token-readings.ts'
import { openSignOn } from '#admin/sign-on/provider.ts'
import { upstreamVariables } from '#config/read.ts'
import { shownSettings } from '#config/shown.ts'
import { steadyClock } from '#core/clock.ts'
import { createPolicy } from '#core/policy-settings.ts'
import { createGateway, type Gateway } from '#gateway/gateway.ts'
import { createBodyBudget } from '#http/body.ts'
import { createClientAddress } from '#http/client-address.ts'
import { createCors } from '#http/cors.ts'
import { createCredentialReader } from '#http/credential.ts'
import { createForwardingNotice } from '#http/forwarding-notice.ts'
import { createFront } from '#http/front.ts'
import { createTakesHost } from '#http/host-name.ts'
import type { PlainApp } from '#http/plain-app.ts'
import { createReadingRate } from '#http/reading-rate.ts'
import { createThrottle } from '#http/throttle.ts'
import { providers } from '#providers/all.ts'
import { accessTokenHeadersOf, createPrefixTest, pathPrefixesOf } from '#providers/gathered.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { createVerifier } from '#verifier/verifier.ts'
import type { Accounting } from './accounting.ts'
import {
  configuredKeyOf,
  withConfiguredClaims,
  withConfiguredKey,
  withConfiguredSessions,
} from './configured-key.ts'
import type { Foundation } from './foundation.ts'
import { createHealth, type Health } from './health.ts'
import { openKeyUse } from './key-use.ts'
import { watchRevocations } from './revocation-watch.ts'
import { version } from './version.ts'

/** The memory of all bodies that are being read, as a number of bodies of the largest size: 256 MiB by default. */
const bodiesHeldMax = 8

export interface Planes {
  readonly gateway: Gateway
  readonly health: Health
  /** The public listener: every plane, but for the admin API where that has a listener of its own. */
  readonly listen: RequestListener
  readonly listenAdmin: RequestListener
}

/** Counts guesses together with the other instances. */
function openThrottle({ store, stopper }: Foundation, topic: string) {
  return createThrottle(steadyClock, {
    key: store.keyFor('guesses'),
    peers: {
      tell: (words) => store.signals.tell(topic, words),
      hear: (said) => stopper.add(store.signals.hear(topic, said)),
    },
  })
}

/** Opens every plane over what they share. */
export async function openPlanes(
  base: Foundation,
  accounting: Accounting,
  upstreams: Upstreams,
): Promise<Planes> {
  const { config, store, clock, log, stopper, onFailure } = base
  const { ledger, heartbeat, corrections } = accounting
  const throttleOf = (topic: string) => openThrottle(base, topic)
  const configuredKey = configuredKeyOf(config.adminKey, clock())
  const keyUse = openKeyUse(withConfiguredKey(store.adminKeys, configuredKey), clock, onFailure)
  stopper.add(keyUse.close)
  const credentialHeaders = accessTokenHeadersOf(providers)
  const shared = {
    clock,
    log,
    ledger,
    credentialOf: createCredentialReader(credentialHeaders),
    clientAddress: createClientAddress(config.trustedProxies),
    bodyBytesMax: config.bodyBytesMax,
    readingRate: createReadingRate(clock),
    bodyBudget: createBodyBudget(bodiesHeldMax * config.bodyBytesMax),
    policy: createPolicy(config.policy),
    throttle: throttleOf('access tokens'),
    adminKeys: keyUse.keys,
    keyUsed: keyUse.used,
  }
  const account = createAccount({ ...shared, users: store.users, usage: store.usage })
  const claims = withConfiguredClaims(store.claims, configuredKey, config.signOn)
  const holders = createClaims({ ...shared, claims, throttle: throttleOf('claim codes') })
  const verifier = createVerifier({
    ...shared,
    metering: store.metering,
    keyThrottle: throttleOf('verifier keys'),
  })
  const { onDisconnect, inputEstimate, keepAliveMs, promptModel, passThrough } = config
  const gateway = createGateway({
    ...shared,
    ...{ onDisconnect, inputEstimate, keepAliveMs, promptModel, passThrough },
    ...{ upstreams, providers, corrections },
    knowsAccessToken: store.users.knowsAccessToken,
    frontEnds: store.frontEnds,
    limitsOf: async (accessToken) => (await store.users.findUser({ accessToken }, clock()))?.limits,
    onStarted: (userId) => revocations.started(userId),
    onListed: store.metering.listModels,
    noUpstreamAdvice: `let an upstream in tollgate.yaml serve its models, or set ${upstreamVariables()}`,
  })
  const revocations = await watchRevocations(store, gateway, clock, onFailure)
  stopper.add(revocations.close)
  const { adminKeys } = shared
  const tokenReadings = createTokenReadings(store, clock, log)
  stopper.add(tokenReadings.close)
  const admin = createAdminListener({
    ...shared,
    store: {
      ...store,
      adminKeys,
      sessions: withConfiguredSessions(store.sessions, configuredKey, config.signOn),
      claims,
    },
    sessionTimes: config.sessionTimes,
    signOn: config.signOn && openSignOn(config.signOn, { key: store.keyFor('sign-on'), clock, log }),
    throttle: throttleOf('admin keys'),
    tokenReadings,
    namedTokens: throttleOf('named access tokens'),
    publicUrl: config.publicUrl,
    isApart: config.adminPort !== undefined,
    bulkUsersMax: config.bulkUsersMax,
    contractText: readFileSync(new URL('../../contract/openapi-admin-users.yaml', import.meta.url), 'utf8'),
    facts: { version, notes: config.notes, settings: shownSettings(config) },
  })
  const health = createHealth(shared, {
    parts: heartbeat.parts,
    notes: () => [...store.notes(), ...gateway.notes(), ...upstreams.notes()],
  })
  const isGatewayPath = createPrefixTest(pathPrefixesOf(providers))
  const front = {
    ...shared,
    credentialHeaders,
    takesHost: config.servedHosts && createTakesHost(config.servedHosts),
    notice: createForwardingNotice({ trustedProxies: config.trustedProxies, log, now: steadyClock }),
    cors: config.corsOrigins.length > 0 ? createCors(config.corsOrigins, isGatewayPath) : undefined,
  }
  // The text after `/admin/users/` is an access token, even where it looks like a path of the gateway.
  const isGateways = (url: string) =>
    isGatewayPath(url) || (!url.startsWith('/admin/') && gateway.isMeant(url))
  const others = config.adminPort === undefined ? admin : gateway.handle
  return {
    gateway,
    health,
    listen: createFront(
      front,
      chooseFrom([health, account, holders, verifier, { ...gateway, takes: isGateways }], others),
    ),
    listenAdmin: createFront(front, chooseFrom([health], admin)),
  }
}

/** The first plane whose path it is handles a request; `others` handles what is no plane's. */
function chooseFrom(planes: readonly PlainApp[], others: RequestListener): RequestListener {
  return (request, response) => {
    const url = request.url ?? '/'
    const plane = planes.find((each) => each.takes(url))
    if (plane) plane.handle(request, response)
    else others(request, response)
  }
}
