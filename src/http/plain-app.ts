import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '#core/clock.ts'
import { errorTable } from '#core/errors.ts'
import { logAccess } from './access-log.ts'
import type { Answer } from './answer.ts'
import type { ClientAddress } from './client-address.ts'
import { linger } from './linger.ts'
import type { Log } from './log.ts'
import { renderProblem } from './problem-answer.ts'
import { openVisit, type Visit } from './visit.ts'

export interface PlainAppOptions {
  readonly clock: Clock
  readonly log: Log
  readonly clientAddress: ClientAddress
}

/** A plane of short JSON answers on `node:http`. */
export interface PlainApp {
  /** Whether a request's target (`request.url`) is this app's. */
  readonly takes: (url: string) => boolean
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
}

/**
 * Handles a request from its arrival to its log line; the answer is a value until it is sent.
 * @param answerTo may set route, user and key of the visit; where it rejects, the connection is closed
 */
export function createPlainApp(
  { clock, log, clientAddress }: PlainAppOptions,
  takes: PlainApp['takes'],
  answerTo: (visit: Visit) => Promise<Answer>,
): PlainApp {
  function handle(request: IncomingMessage, response: ServerResponse): void {
    const visit = openVisit(request, clientAddress, clock)
    response.on('close', () => logVisit(visit, response))
    answerTo(visit)
      .then((answer) => send(visit, response, answer))
      .catch((error: unknown) => {
        log.error({ requestId: visit.requestId, err: error }, 'a request failed')
        response.destroy()
      })
  }

  function send(visit: Visit, response: ServerResponse, answer: Answer): void {
    const { requestId, request } = visit
    const headers = { 'cache-control': 'no-store', 'x-request-id': requestId, ...answer.headers }
    if (answer.kind === 'refused') {
      visit.code = answer.problem.code
      const { patienceMs, status = errorTable[answer.problem.code].status } = answer
      const rendered = renderProblem(answer.problem, requestId, clock(), {
        accept: request.headers.accept,
        ...(patienceMs !== undefined && { patienceMs }),
      })
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
      // nginx's 499: the client hung up before the answer.
      status: response.headersSent ? response.statusCode : 499,
      code,
      durationMs: performance.now() - arrivedAt,
      address,
      userId,
      adminKeyId,
    })
  }

  return { takes, handle }
}
