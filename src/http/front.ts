import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createProblem, type Problem } from '#core/errors.ts'
import type { Cors } from './cors.ts'
import type { ForwardingNotice } from './forwarding-notice.ts'
import type { TakesHost } from './host-name.ts'
import { inTurn } from './in-turn.ts'
import { linger } from './linger.ts'
import { renderProblem } from './problem-answer.ts'
import { securityHeaders } from './security-headers.ts'
import { createTargetReader } from './target.ts'
import { sendWhole, Visit, type VisitOptions, watch } from './visit.ts'

export interface FrontOptions extends VisitOptions {
  /** Headers of the protocols in which clients may send a credential, in lower case: each may be sent once. */
  readonly credentialHeaders: readonly string[]
  /** Which hosts are served; absent: all of them. */
  readonly takesHost?: TakesHost | undefined
  /** Web pages that may call; absent: none. */
  readonly cors?: Cors | undefined
  /** Looks at the forwarding headers of every request; absent: unread. */
  readonly notice?: ForwardingNotice | undefined
}

const wrongHost =
  'This demo answers to localhost and 127.0.0.1 only: its keys are public, and a web page could resolve its own name ' +
  'to this address. Use one of these names, or start the demo with your host name in DEMO_HOSTS.'

/**
 * Checks every request before a plane handles it: one at a time per connection, the target as a path in `request.url`,
 * a single `Host`, and one that is served here.
 */
export function createFront(options: FrontOptions, planes: RequestListener): RequestListener {
  const { takesHost, cors, notice } = options
  const readTarget = createTargetReader(options.credentialHeaders)
  return inTurn((request, response) => {
    notice?.(request)
    const target = readTarget(request)
    if (target.kind === 'refused') return refuse(request, response, target.problem, options)
    const { path, host } = target.value
    if (takesHost && host !== undefined && !takesHost(host))
      return refuse(request, response, createProblem('host_not_served', wrongHost), options)
    request.url = path
    if (cors?.answer(request, response)) return logPreflight(request, response, options)
    planes(request, response)
  })
}

function logPreflight(request: IncomingMessage, response: ServerResponse, options: FrontOptions): void {
  const visit = new Visit(request, response, options)
  visit.route = 'preflight'
  watch(visit, options.log)
  linger(request)
}

/** No plane has been chosen yet, so the refusal has the admin API's shape, which every client can read. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  problem: Problem,
  options: FrontOptions,
): void {
  const visit = new Visit(request, response, options)
  visit.code = problem.code
  watch(visit, options.log)
  const { status, headers, body } = renderProblem(problem, visit.requestId, options.clock(), request.headers)
  sendWhole(visit, status, { ...securityHeaders, ...headers }, body)
}
