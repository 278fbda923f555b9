import type { IncomingMessage, RequestListener } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import type { UserLimits } from '#core/limits.ts'
import { refuseMethod } from '#http/answer.ts'
import type { BodyBudget } from '#http/body.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { createBodyDecoder } from '#http/coded-body.ts'
import { createCredentialReader } from '#http/credential.ts'
import type { Log } from '#http/log.ts'
import { createReadingRate, type ReadingRate } from '#http/reading-rate.ts'
import type { Throttle } from '#http/throttle.ts'
import { live, pathOf, sendWhole } from '#http/visit.ts'
import { createRoster } from '#lib/roster.ts'
import type { InputCorrections } from '#metering/input-corrections.ts'
import type { Ledger } from '#metering/ledger.ts'
import type { EstimateMode } from '#providers/estimate.ts'
import { accessTokenHeadersOf } from '#providers/gathered.ts'
import type { PassedRoute } from '#providers/passed-route.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { admitRequest, type IntakeContext } from './intake.ts'
import { createModelDirectory, createModelLists, type OnListed } from './model-directory.ts'
import { listModels, type ModelsContext, showModel } from './models.ts'
import { createNamedModels } from './named-models.ts'
import { createPeople, type PeopleStore } from './people/people.ts'
import { refuse } from './refusal.ts'
import { Relay } from './relay.ts'
import type { RelayContext } from './relay-context.ts'
import { type Block, createRelays, type Relays } from './relays.ts'
import { createRouter, type Route } from './routes.ts'
import { createUnserved, type Unserved } from './unserved.ts'
import { timingOf, Visit } from './visit.ts'
import { baseAddressAdvice, misaddressed, notServedAdvice } from './wrong-paths.ts'

export interface GatewayOptions {
  readonly ledger: Ledger
  readonly upstreams: Upstreams
  /** In the order in which they are asked whether a request is theirs, if its path does not tell. */
  readonly providers: readonly Provider[]
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  readonly throttle: Throttle
  /** The rate limit on listing models; absent: the gateway makes its own. */
  readonly readingRate?: ReadingRate
  readonly clientAddress: ClientAddress
  readonly bodyBytesMax: number
  /** The memory for bodies that are being read, shared with the other planes. */
  readonly bodyBudget?: BodyBudget
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
  /** Front ends and their people. */
  readonly frontEnds: PeopleStore
  readonly limitsOf: (accessToken: string) => Promise<UserLimits | undefined>
  /** Called with the user's id when a relay has started and is among the running ones. */
  readonly onStarted?: (userId: string) => void
  /** Told of the models that an upstream lists, each time it was asked. */
  readonly onListed?: OnListed
  readonly onDisconnect?: 'abort' | 'drain'
  readonly inputEstimate?: EstimateMode
  /** What has been learned of how models count their input. */
  readonly corrections: InputCorrections
  readonly keepAliveMs?: number
  /** The model of a request that names a stored prompt and no model. */
  readonly promptModel?: string | undefined
  readonly passThrough?: readonly PassedRoute[]
  readonly drainMs?: number
  readonly drainBytesMax?: number
  readonly stalledMs?: number
  readonly settleWaitMs?: number
  /** How an upstream is added: for the log and `notes`. */
  readonly noUpstreamAdvice?: string
}

export interface Gateway {
  /**
   * Whether a path outside the protocols' prefixes is one of the gateway's under a wrong base address, so that the gateway answers with
   * advice.
   */
  readonly isMeant: (url: string) => boolean
  readonly handle: RequestListener
  /** Warnings for the operator, in sentences without addresses or secrets. */
  readonly notes: () => readonly string[]
  readonly openRelays: () => number
  /** The users of the running relays. */
  readonly runningUsers: () => ReadonlySet<string>
  /** Cuts the running relays of one user, each with this problem; returns how many there were. */
  readonly cutUser: (userId: string, problem: Problem) => number
  /** Sets or clears the coming block of a user; running relays are cut when it comes. */
  readonly blockUser: (userId: string, block: Block | undefined) => void
  /** The access tokens of these users' running relays. */
  readonly tokensOf: (userIds: ReadonlySet<string>) => ReadonlySet<string>
  /** Sets or clears the end of an access token; the relays that it opened are cut when it comes. */
  readonly endToken: (accessToken: string, until: number | undefined) => void
  /**
   * Refuses new requests, waits for running relays, and cuts the rest after the grace period. Resolves when all are
   * settled.
   */
  readonly drain: (graceMs: number) => Promise<void>
}

const minuteMs = 60_000
const tellingMs = 1000
const blockLookMs = 250
const defaults = {
  onDisconnect: 'abort',
  inputEstimate: 'usual',
  keepAliveMs: 0,
  drainMs: 5 * minuteMs,
  drainBytesMax: 32 * 1024 * 1024,
  stalledMs: 5 * minuteMs,
  settleWaitMs: 1000,
  noUpstreamAdvice: 'add one',
} as const

/** What serves the requests of one gateway. */
interface Parts {
  readonly options: GatewayOptions & Required<Pick<GatewayOptions, keyof typeof defaults>>
  readonly route: ReturnType<typeof createRouter>
  readonly intake: IntakeContext
  readonly relaying: RelayContext
  readonly models: ModelsContext
  stage: 'open' | 'draining' | 'cutting'
}

/** The data plane: routes requests, admits or refuses them, and runs a relay for each that was admitted. */
export function createGateway(given: GatewayOptions): Gateway {
  const options = { ...defaults, ...given }
  const { clock, log, providers } = options
  const [first] = providers
  if (!first) throw new TypeError('the gateway needs a provider')
  const relays = createRelays()
  const unserved = createUnserved(clock, log, options.noUpstreamAdvice)
  const parts = openParts(options, relays, unserved)
  const visits = createRoster<Visit>()
  // A running stream makes no further admission, so a timer checks whether its user is blocked by now.
  const blockWatch = setInterval(() => relays.cutBlocked(clock()), blockLookMs).unref()

  const handle: RequestListener = (request, response) => {
    const claimant = providers.find((each) => each.claims(request.headers)) ?? first
    const visit = new Visit(request, response, claimant, options)
    const leave = visits.add(visit)
    live(
      visit,
      log,
      () => serve(visit, parts),
      () => say(visit, createProblem('internal'), clock),
    )
    response.on('close', leave)
  }

  async function drain(graceMs: number): Promise<void> {
    parts.stage = 'draining'
    const isIdle = () => visits.count() === 0 && relays.count() === 0
    await waitUntil(isIdle, graceMs)
    parts.stage = 'cutting'
    relays.cutAll(createProblem('shutting_down'))
    // Give the cut relays a moment to tell their clients.
    await waitUntil(isIdle, tellingMs)
    for (const { request } of visits.list()) request.socket.destroy()
    await waitUntil(isIdle, Number.POSITIVE_INFINITY)
    clearInterval(blockWatch)
  }

  const { cutUser, blockUser, tokensOf, endToken, count: openRelays, users: runningUsers } = relays
  const isMeant = (url: string) => misaddressed(pathOf(url), providers) !== undefined
  return {
    ...{ isMeant, handle, notes: unserved.notes, openRelays, runningUsers },
    ...{ cutUser, blockUser, tokensOf, endToken, drain },
  }
}

function openParts(options: Parts['options'], relays: Relays, unserved: Unserved): Parts {
  const { clock, upstreams, providers } = options
  const { families } = options.policy
  const lists = createModelLists(clock, options.onListed)
  const intake = {
    ...options,
    families,
    credentialOf: createCredentialReader(accessTokenHeadersOf(providers)),
    named: createNamedModels(upstreams, lists, families, clock),
    people: createPeople(options.frontEnds, clock),
    bodyDecoder: createBodyDecoder(options.bodyBudget),
  }
  return {
    options,
    route: createRouter(providers, options.passThrough),
    intake,
    relaying: { ...options, families, relays, unserved },
    models: {
      ...options,
      intake,
      readingRate: options.readingRate ?? createReadingRate(clock),
      directory: createModelDirectory(upstreams, lists),
    },
    stage: 'open',
  }
}

async function serve(visit: Visit, parts: Parts): Promise<void> {
  const { request, response } = visit
  const { clock, providers } = parts.options
  const routing = parts.route(request.method ?? '', request.url ?? '')
  if (routing.kind !== 'not_found') enter(visit, routing.route)
  if (parts.stage !== 'open') {
    response.shouldKeepAlive = false
    return say(visit, createProblem('shutting_down'), clock)
  }
  if (isWebSocket(request)) {
    for (const [name, value] of onlyHttp) response.setHeader(name, value)
    return say(visit, createProblem('websocket_not_served'), clock)
  }
  if (routing.kind === 'not_found') return say(visit, notFound(visit, providers), clock)
  if (routing.kind === 'wrong_method') {
    const { problem, headers } = refuseMethod(routing.allow)
    response.setHeader('allow', headers.allow)
    return say(visit, problem, clock)
  }
  const { route } = routing
  if (route.kind === 'relay') return relay(visit, route.endpoint, parts)
  const answer = await (route.kind === 'models'
    ? listModels(visit, parts.models)
    : showModel(visit, route.id, parts.models))
  if (answer.kind === 'refused') return refuse(visit, answer.problem, answer.limits, clock())
  const headers = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-request-id': visit.requestId,
    'server-timing': timingOf(visit),
  }
  sendWhole(visit, 200, headers, answer.value)
}

function enter(visit: Visit, found: Route): void {
  visit.route = found.template
  if (found.provider) visit.provider = found.provider
  if (found.kind !== 'relay') return
  visit.endpoint = found.endpoint
  visit.model = found.model
}

async function relay(visit: Visit, endpoint: Endpoint, parts: Parts): Promise<void> {
  const { clock, onStarted } = parts.options
  const taken = await admitRequest(visit, endpoint, parts.intake)
  if (taken.kind === 'refused') return refuse(visit, taken.problem, taken.limits, clock())
  if (taken.kind === 'gone') return
  // From here on an entry is open, and only the relay closes it.
  const started = new Relay(taken.job, parts.relaying)
  started.start()
  onStarted?.(taken.job.userId)
  if (taken.job.frontEndId !== undefined) onStarted?.(taken.job.frontEndId)
  if (parts.stage === 'cutting') started.cut(createProblem('shutting_down'))
}

/** A path that belongs to one protocol is answered in that protocol, any other in the protocol of its headers. */
function notFound(visit: Visit, providers: readonly Provider[]): Problem {
  const meant = misaddressed(visit.path, [visit.provider, ...providers])
  if (!meant) return createProblem('not_found', notServedAdvice(visit.provider))
  visit.provider = meant.provider
  return createProblem('not_found', baseAddressAdvice(meant, visit.request))
}

function say(visit: Visit, problem: Problem, clock: Clock): void {
  refuse(visit, problem, undefined, clock())
}

/**
 * The answer names the protocol to use instead (RFC 9110, 15.5.22). The connection is closed, since node:http reads
 * nothing more of one on which another protocol was asked for.
 */
const onlyHttp = [
  ['upgrade', 'HTTP/1.1'],
  ['connection', 'upgrade, close'],
] as const

/** Codex tries WebSocket first, and falls back to HTTP at once on a 426. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** Polls every 10 ms: it runs only when a process stops, where this delay does not matter. */
async function waitUntil(isSo: () => boolean, timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs
  while (!isSo() && performance.now() < until) await setTimeout(10)
}
