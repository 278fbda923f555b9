import type { IncomingMessage, ServerResponse } from 'node:http'
import { clientPatienceMs } from '#core/asking-again.ts'
import { createProblem, errorTable } from '#core/errors.ts'
import { parseAddress } from '#core/network.ts'
import { refused } from '#core/reading.ts'
import { logAccess } from '#http/access-log.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { linger } from '#http/linger.ts'
import { renderProblem } from '#http/problem-answer.ts'
import { createRequestId } from '#http/request-id.ts'
import { createThrottle, type Throttle } from '#http/throttle.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type Answer, refuse } from './answer.ts'
import type { VerifierContext } from './context.ts'
import { letIn } from './credential.ts'
import { verifierRoutes } from './routes.ts'
import type { Visit } from './visit.ts'

export interface VerifierOptions extends Omit<VerifierContext, 'keyThrottle' | 'settleWaitMs'> {
  readonly clientAddress: ClientAddress
  readonly settleWaitMs?: number
  readonly keyThrottle?: Throttle
}

export interface Verifier {
  /** Whether a request's target (`request.url`) is this app's. */
  readonly takes: (url: string) => boolean
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
}

/** For other gateways: they ask here whom to let through, reserve, and report what was used. */
export function createVerifier({ clientAddress, ...options }: VerifierOptions): Verifier {
  const { clock, log } = options
  const context = { settleWaitMs: 1000, keyThrottle: createThrottle(clock), ...options }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const visit = openVisit(request)
    response.on('close', () => logVisit(visit, response))
    answerTo(visit)
      .then((answer) => send(visit, response, answer))
      .catch((error: unknown) => {
        log.error({ requestId: visit.requestId, err: error }, 'a request failed')
        response.destroy()
      })
  }

  function openVisit(request: IncomingMessage): Visit {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s)
    const peer = request.socket.remoteAddress
    const address = clientAddress(peer, request.headers['x-forwarded-for'])
    return {
      requestId: createRequestId(clock()),
      request,
      path,
      query: new URLSearchParams(query),
      address,
      isForwarded: peer !== undefined && address !== parseAddress(peer),
      arrivedAt: performance.now(),
      route: 'none',
      userId: undefined,
      adminKeyId: undefined,
      code: undefined,
    }
  }

  async function answerTo(visit: Visit): Promise<Answer> {
    const route = verifierRoutes.find(({ pattern }) => pattern.test(visit.path))
    if (!route) return refuse('not_found')
    visit.route = route.template
    const answer = await run(visit, route).catch((error: unknown) => failed(visit, error))
    return route.dress?.(answer, visit) ?? answer
  }

  async function run(visit: Visit, route: (typeof verifierRoutes)[number]): Promise<Answer> {
    const { request, path } = visit
    if (route.method !== 'ANY' && request.method !== route.method)
      return { ...refuse('method_not_allowed'), headers: { allow: route.method } }
    const refusal = await letIn(visit, route.keyOf(request.headers), context)
    if (refusal) {
      const { code } = refusal.problem
      log.warn({ requestId: visit.requestId, route: visit.route, code }, 'a gateway was refused')
      return refusal
    }
    return route.handle(visit, context, route.pattern.exec(path)?.[1] ?? '')
  }

  function failed({ requestId }: Visit, error: unknown): Answer {
    const isStore = error instanceof StoreUnavailable
    log.error({ requestId, err: error }, isStore ? 'the store cannot be asked' : 'a request failed')
    if (!isStore) return refuse('internal')
    return refused(createProblem('store_unavailable', undefined, { retryAt: clock() + 1000 }))
  }

  function send(visit: Visit, response: ServerResponse, answer: Answer): void {
    const { requestId, request } = visit
    const headers = { 'cache-control': 'no-store', 'x-request-id': requestId, ...answer.headers }
    if (answer.kind === 'refused') {
      visit.code = answer.problem.code
      const rendered = renderProblem(answer.problem, requestId, clock(), {
        accept: request.headers.accept,
        // What refuses a user goes on to that user's client.
        patienceMs: answer.isOfGateway ? Number.POSITIVE_INFINITY : clientPatienceMs,
      })
      const status = answer.status ?? errorTable[answer.problem.code].status
      response.writeHead(status, { ...rendered.headers, ...headers }).end(rendered.body)
    } else if (answer.body === undefined) {
      response.writeHead(answer.status, { ...headers, 'content-length': '0' }).end()
    } else {
      const body = JSON.stringify(answer.body)
      response.writeHead(answer.status, { ...headers, 'content-type': 'application/json' }).end(body)
    }
    linger(request)
  }

  function logVisit(visit: Visit, response: ServerResponse): void {
    const { requestId, address, arrivedAt, userId, adminKeyId, request, route, code } = visit
    logAccess(log, {
      requestId,
      method: request.method ?? '',
      route,
      status: response.headersSent ? response.statusCode : 499,
      code,
      durationMs: performance.now() - arrivedAt,
      address,
      userId,
      adminKeyId,
    })
  }

  return { takes: (url) => /^\/(?:auth|usage)(?:[/?]|$)/.test(url), handle }
}
