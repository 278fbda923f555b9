import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { logAccess } from './access-log.ts'
import type { ClientAddress } from './client-address.ts'
import type { Cors } from './cors.ts'
import type { TakesHost } from './host-name.ts'
import { inTurn } from './in-turn.ts'
import { linger } from './linger.ts'
import type { Log } from './log.ts'
import { renderProblem } from './problem-answer.ts'
import { createRequestId } from './request-id.ts'
import { createTargetReader } from './target.ts'

export interface FrontOptions {
  /** Headers of the protocols in which clients may send a credential, in lower case: each may be sent once. */
  readonly credentialHeaders: readonly string[]
  readonly clock: Clock
  readonly log: Log
  readonly clientAddress: ClientAddress
  /** Which hosts are served; absent: all of them. */
  readonly takesHost?: TakesHost | undefined
  /** Web pages that may call; absent: none. */
  readonly cors?: Cors | undefined
}

const wrongHost =
  'This demo answers to localhost and 127.0.0.1 only: its keys are public, and a web page could resolve its own name ' +
  'to this address. Use one of these names, or start the demo with your host name in DEMO_HOSTS.'

/**
 * Checks every request before a plane handles it: one at a time per connection, the target as a path in `request.url`,
 * a single `Host`, and one that is served here.
 */
export function createFront(options: FrontOptions, planes: RequestListener): RequestListener {
  const { takesHost, cors } = options
  const readTarget = createTargetReader(options.credentialHeaders)
  return inTurn((request, response) => {
    const target = readTarget(request)
    if (target.kind === 'refused')
      return refuse(request, response, createProblem('bad_request', target.message), options)
    if (takesHost && target.host !== undefined && !takesHost(target.host))
      return refuse(request, response, createProblem('host_not_served', wrongHost), options)
    request.url = target.path
    if (cors?.answer(request, response)) return logPreflight(request, options)
    planes(request, response)
  })
}

function logPreflight(request: IncomingMessage, { clock, log, clientAddress }: FrontOptions): void {
  linger(request)
  logAccess(log, {
    requestId: createRequestId(clock()),
    method: 'OPTIONS',
    route: 'preflight',
    status: 204,
    durationMs: 0,
    address: clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']),
  })
}

/** No plane has been chosen yet, so the refusal has the admin API's shape, which every client can read. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  problem: Problem,
  { clock, log, clientAddress }: FrontOptions,
): void {
  const [arrivedAt, requestId] = [performance.now(), createRequestId(clock())]
  const { status, headers, body } = renderProblem(problem, requestId, clock(), request.headers)
  response
    .writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    .end(request.method === 'HEAD' ? undefined : body)
  linger(request)
  logAccess(log, {
    requestId,
    method: request.method ?? '',
    route: 'none',
    status,
    code: problem.code,
    durationMs: performance.now() - arrivedAt,
    address: clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']),
  })
}
