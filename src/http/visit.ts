import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '#core/clock.ts'
import { parseAddress } from '#core/network.ts'
import { type EndingCode, logAccess } from './access-log.ts'
import type { ClientAddress } from './client-address.ts'
import { linger } from './linger.ts'
import type { Log } from './log.ts'
import { createRequestId } from './request-id.ts'

export interface VisitOptions {
  readonly clock: Clock
  readonly log: Log
  readonly clientAddress: ClientAddress
}

/** One HTTP request, from its arrival to the end of its answer. */
export class Visit {
  readonly requestId: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The client's address, by the connection or by a trusted proxy. */
  readonly address: string
  /** `performance.now()` at its arrival. */
  readonly arrivedAt = performance.now()
  /** The route's template, for the log and the ledger; never the path, which may hold text of the client. */
  route = 'none'
  userId: string | undefined
  adminKeyId: string | undefined
  /** Why it was refused, or what ended its answer. */
  code: EndingCode | undefined
  /** A good answer is logged at debug level only: the ledger says more of it, or it was a probe. */
  isQuiet = false

  constructor(request: IncomingMessage, response: ServerResponse, options: VisitOptions) {
    this.requestId = createRequestId(options.clock())
    this.request = request
    this.response = response
    this.address = options.clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for'])
  }

  /** Of the request's target, as it was sent. */
  get path(): string {
    return pathOf(this.request.url ?? '')
  }

  get query(): URLSearchParams {
    return new URLSearchParams((this.request.url ?? '').slice(this.path.length))
  }

  /** The address of the connection's other end, whatever it says of itself; empty where it is gone. */
  get peer(): string {
    return parseAddress(this.request.socket.remoteAddress ?? '') ?? ''
  }

  /** `address` was written by a trusted proxy: it is not the connection's own. */
  get isForwarded(): boolean {
    const peer = this.request.socket.remoteAddress
    return peer !== undefined && this.address !== parseAddress(peer)
  }
}

export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}

/**
 * The life of every request at a plane on `node:http`: `serve` answers it, a failure is logged and answered by `fail`, and
 * the log gets one line when the answer has ended.
 */
export function live<V extends Visit>(
  visit: V,
  log: Log,
  serve: (visit: V) => Promise<void>,
  fail: (visit: V) => void,
): void {
  const { requestId, response } = visit
  watch(visit, log)
  serve(visit).catch((error: unknown) => {
    log.error({ requestId, err: error }, 'a request failed')
    if (response.headersSent) response.destroy()
    else fail(visit)
  })
}

/** Writes the log line when the answer has ended. */
export function watch(visit: Visit, log: Log): void {
  visit.response.on('close', () => logVisit(log, visit))
  // Writing to a client that has disconnected fails here; `close` is the event that handles it.
  visit.response.on('error', () => {})
}

function logVisit(log: Log, visit: Visit): void {
  const { requestId, request, response, route, code, arrivedAt, address, userId, adminKeyId, isQuiet } = visit
  logAccess(log, {
    requestId,
    method: request.method ?? '',
    route,
    // nginx's 499: the client was gone before it was answered.
    status: response.headersSent ? response.statusCode : 499,
    // A relay learns only after this that the client has disconnected.
    code: code ?? (response.writableEnded ? undefined : 'client_gone'),
    durationMs: performance.now() - arrivedAt,
    address,
    userId,
    adminKeyId,
    isQuiet,
  })
}

/** Sends a complete answer; for HEAD its headers alone. */
export function sendWhole(
  { request, response }: Visit,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
  linger(request)
}
