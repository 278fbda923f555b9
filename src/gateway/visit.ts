import type { IncomingMessage, ServerResponse } from 'node:http'
import { Visit as HttpVisit, type VisitOptions } from '#http/visit.ts'
import type { ClientEndpoint, Provider } from '#providers/provider.ts'
import type { KnownFrontEnd } from './people/known-front-end.ts'

/** One HTTP request at the gateway, from its arrival to the end of its answer. */
export class Visit extends HttpVisit {
  /** Milliseconds spent in waiting for the client to send its body. */
  waitedMs = 0
  /** Milliseconds that the gateway itself took before it sent the request on; undefined until it has. */
  ownMs: number | undefined
  /** The provider in whose format the request is answered. */
  provider: Provider
  /** The operation that was called; undefined where the path is not one. */
  endpoint: ClientEndpoint | undefined
  /** The front end that sent it, where the access token is one's. */
  frontEnd: KnownFrontEnd | undefined
  /** The model that the path names; undefined if the body does. */
  model: string | undefined

  constructor(request: IncomingMessage, response: ServerResponse, provider: Provider, options: VisitOptions) {
    super(request, response, options)
    this.provider = provider
  }
}

/** Notes that the request is sent to an upstream now; the time after this is the upstream's. */
export function noteSent(visit: Visit): void {
  visit.ownMs ??= performance.now() - visit.arrivedAt - visit.waitedMs
  // It has an entry in the ledger, which says more.
  visit.isQuiet = true
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
