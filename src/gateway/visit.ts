import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorCode } from '#core/errors.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'

/** One HTTP request at the gateway, from its arrival to the end of its answer. */
export interface Visit {
  readonly requestId: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly address: string
  /** `performance.now()` at its arrival. */
  readonly arrivedAt: number
  /** Milliseconds spent in waiting for the client to send its body. */
  waitedMs: number
  /** Milliseconds that the gateway itself took before it sent the request on; undefined until it has. */
  ownMs: number | undefined
  /** The provider in whose format the request is answered. */
  provider: Provider
  /** The operation that was called; undefined where the path is not one. */
  endpoint: Endpoint | undefined
  /** The route's template, for the log and the ledger. */
  route: string
  userId: string | undefined
  /** Why it was refused, or what ended its answer before the upstream did. */
  code: ErrorCode | undefined
}

/** Notes that the request is sent to an upstream now; the time after this is the upstream's. */
export function noteSent(visit: Visit): void {
  visit.ownMs ??= performance.now() - visit.arrivedAt - visit.waitedMs
}

/** `server-timing` (W3C): shows every client how much time the gateway adds. */
export function timingOf(visit: Visit): string {
  const ms = visit.ownMs ?? performance.now() - visit.arrivedAt - visit.waitedMs
  return `tollgate;dur=${ms.toFixed(2)}`
}

/** Whether the client has gone away before it was answered. */
export function isGone({ request, response }: Visit): boolean {
  return response.destroyed || request.socket.destroyed
}
