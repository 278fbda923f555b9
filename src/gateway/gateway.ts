import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import type { UserLimits } from '#core/limits.ts'
import { logAccess } from '#http/access-log.ts'
import type { BodyBudget } from '#http/body.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { createBodyDecoder } from '#http/coded-body.ts'
import type { Log } from '#http/log.ts'
import { createReadingRate, type ReadingRate } from '#http/reading-rate.ts'
import { createRequestId } from '#http/request-id.ts'
import type { Throttle } from '#http/throttle.ts'
import { createRoster } from '#lib/roster.ts'
import type { InputCorrections } from '#metering/input-corrections.ts'
import type { Meter } from '#metering/meter.ts'
import type { EstimateMode } from '#providers/estimate.ts'
import type { PassedRoute } from '#providers/passed-route.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { admitRequest, type IntakeContext } from './intake.ts'
import { createModelDirectory, createModelLists, type OnListed } from './model-directory.ts'
import { listModels, type ModelsContext, showModel } from './models.ts'
import { createNamedModels } from './named-models.ts'
import { refuse } from './refusal.ts'
import { Relay, type RelayContext } from './relay.ts'
import { type Block, createRelays } from './relays.ts'
import { createRouter, pathOf, type Route } from './routes.ts'
import { createUnserved } from './unserved.ts'
import type { Visit } from './visit.ts'
import { baseAddressAdvice, misaddressed, notServedAdvice } from './wrong-paths.ts'

export interface GatewayOptions {
  readonly meter: Meter
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
   * Whether a path outside `/v1` is one of the gateway's under a wrong base address, so that the gateway answers with
   * advice.
   */
  readonly isMeant: (url: string) => boolean
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Warnings for the operator, in sentences without addresses or secrets. */
  readonly notes: () => readonly string[]
  readonly openRelays: () => number
  /** The users of the running relays. */
  readonly runningUsers: () => ReadonlySet<string>
  /** Cuts the running relays of one user, each with this problem; returns how many there were. */
  readonly cutUser: (userId: string, problem: Problem) => number
  /** Sets or clears the coming block of a user; running relays are cut when it comes. */
  readonly blockUser: (userId: string, block: Block | undefined) => void
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

/** The data plane: routes requests, admits or refuses them, and runs a relay for each that was admitted. */
export function createGateway(given: GatewayOptions): Gateway {
  const options = { ...defaults, ...given }
  const { clock, log, providers } = options
  if (providers.length === 0) throw new TypeError('the gateway needs a provider')
  const relays = createRelays()
  const lists = createModelLists(clock, given.onListed)
  const route = createRouter(providers, given.passThrough)
  const intake: IntakeContext = {
    ...options,
    families: options.policy.families,
    named: createNamedModels(options.upstreams, lists, options.policy.families, clock),
    bodyDecoder: createBodyDecoder(given.bodyBudget),
  }
  const unserved = createUnserved(clock, log, options.noUpstreamAdvice)
  const { families } = options.policy
  const relaying: RelayContext = { ...options, families, relays, unserved }
  const models: ModelsContext = {
    ...options,
    intake,
    readingRate: given.readingRate ?? createReadingRate(clock),
    directory: createModelDirectory(options.upstreams, lists),
  }
  const visits = createRoster<Visit>()
  // A running stream makes no further admission, so a timer checks whether its user is blocked by now.
  const blockWatch = setInterval(() => relays.cutBlocked(clock()), blockLookMs).unref()
  let isDraining = false
  let isCutting = false

  function handle(request: IncomingMessage, response: ServerResponse): void {
    if (response.socket === null) {
      // A pipelined request has no socket before its turn comes, so no event would tell that its client has disconnected.
      response.once('socket', () => handle(request, response))
      return
    }
    const visit = openVisit(request, response)
    const leave = visits.add(visit)
    response.on('close', () => {
      logVisit(visit)
      leave()
    })
    // Writing to a client that has disconnected fails here; `close` is the event that handles it.
    response.on('error', () => {})
    serve(visit).catch((error: unknown) => fail(visit, error))
  }

  function openVisit(request: IncomingMessage, response: ServerResponse): Visit {
    const forwardedFor = request.headers['x-forwarded-for']
    return {
      requestId: createRequestId(clock()),
      request,
      response,
      address: options.clientAddress(request.socket.remoteAddress, forwardedFor),
      arrivedAt: performance.now(),
      waitedMs: 0,
      ownMs: undefined,
      provider: claimant(request),
      endpoint: undefined,
      route: 'none',
      userId: undefined,
      code: undefined,
    }
  }

  function claimant(request: IncomingMessage): Provider {
    const provider = providers.find((each) => each.claims(request.headers)) ?? providers[0]
    if (!provider) throw new Error('the gateway has no provider')
    return provider
  }

  async function serve(visit: Visit): Promise<void> {
    const { request } = visit
    const routing = route(request.method ?? '', request.url ?? '')
    if (routing.kind !== 'not_found') enter(visit, routing.route)
    if (isDraining) {
      visit.response.shouldKeepAlive = false
      return say(visit, createProblem('shutting_down'))
    }
    if (isWebSocket(request)) {
      for (const [name, value] of onlyHttp) visit.response.setHeader(name, value)
      return say(visit, createProblem('websocket_not_served'))
    }
    if (routing.kind === 'not_found') return say(visit, notFound(visit))
    if (routing.kind === 'wrong_method') {
      visit.response.setHeader('allow', routing.allow)
      return say(visit, createProblem('method_not_allowed', `Use ${routing.allow} here.`))
    }
    return run(visit, routing.route)
  }

  function enter(visit: Visit, found: Route): void {
    visit.route = found.template
    if (found.kind !== 'relay') return
    visit.provider = found.provider
    visit.endpoint = found.endpoint
  }

  async function run(visit: Visit, found: Route): Promise<void> {
    if (found.kind === 'relay') return relay(visit, found.endpoint)
    const refusal = await (found.kind === 'models'
      ? listModels(visit, models)
      : showModel(visit, found.id, models))
    if (refusal) refuse(visit, refusal.problem, refusal.limits, clock())
  }

  async function relay(visit: Visit, endpoint: Endpoint): Promise<void> {
    const taken = await admitRequest(visit, endpoint, intake)
    if (taken.kind === 'refused') return refuse(visit, taken.problem, taken.limits, clock())
    if (taken.kind === 'gone') return
    // From here on an entry is open, and only the relay closes it.
    const started = new Relay(taken.job, relaying)
    started.start()
    options.onStarted?.(taken.job.userId)
    if (isCutting) started.cut(createProblem('shutting_down'))
  }

  /** A path that belongs to one protocol is answered in that protocol, any other in the protocol of its headers. */
  function notFound(visit: Visit): Problem {
    const { request } = visit
    const meant = misaddressed(pathOf(request.url ?? ''), [visit.provider, ...providers])
    if (!meant) return createProblem('not_found', notServedAdvice(visit.provider))
    visit.provider = meant.provider
    return createProblem('not_found', baseAddressAdvice(meant, request))
  }

  function say(visit: Visit, problem: Problem): void {
    refuse(visit, problem, undefined, clock())
  }

  function fail(visit: Visit, error: unknown): void {
    log.error({ requestId: visit.requestId, err: error }, 'a request failed')
    if (visit.response.headersSent) visit.response.destroy()
    else say(visit, createProblem('internal'))
  }

  function logVisit(visit: Visit): void {
    const { requestId, request, response, route: template, address, arrivedAt, userId, code } = visit
    logAccess(log, {
      requestId,
      method: request.method ?? '',
      route: template,
      // nginx's 499: the client was gone before it was answered.
      status: response.headersSent ? response.statusCode : 499,
      // The relay learns only after this that the client has disconnected.
      code: code ?? (response.writableEnded ? undefined : 'client_gone'),
      durationMs: performance.now() - arrivedAt,
      address,
      userId,
      isRecorded: visit.ownMs !== undefined,
    })
  }

  async function drain(graceMs: number): Promise<void> {
    isDraining = true
    const isIdle = () => visits.count() === 0 && relays.count() === 0
    await waitUntil(isIdle, graceMs)
    isCutting = true
    relays.cutAll(createProblem('shutting_down'))
    // Give the cut relays a moment to tell their clients.
    await waitUntil(isIdle, tellingMs)
    for (const { request } of visits.list()) request.socket.destroy()
    await waitUntil(isIdle, Number.POSITIVE_INFINITY)
    clearInterval(blockWatch)
  }

  const { cutUser, blockUser, count: openRelays, users: runningUsers } = relays
  const isMeant = (url: string) => misaddressed(pathOf(url), providers) !== undefined
  return { isMeant, handle, notes: unserved.notes, openRelays, runningUsers, cutUser, blockUser, drain }
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
