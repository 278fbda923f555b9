import type { IncomingMessage } from 'node:http'
import type { Clock } from '#core/clock.ts'
import type { ErrorCode } from '#core/errors.ts'
import { parseAddress } from '#core/network.ts'
import type { ClientAddress } from './client-address.ts'
import { createRequestId } from './request-id.ts'

/** One request to a plain app, from its arrival to the end of its answer. */
export interface Visit {
  readonly requestId: string
  readonly request: IncomingMessage
  /** Of the request's target, as it was sent. */
  readonly path: string
  readonly query: URLSearchParams
  /** The client's address, by the connection or by a trusted proxy. */
  readonly address: string
  /** `address` was written by a trusted proxy: it is not the connection's own. */
  readonly isForwarded: boolean
  /** `performance.now()` at its arrival. */
  readonly arrivedAt: number
  /** The route's template, for the log and the ledger; never the path, which may hold text of the client. */
  route: string
  userId: string | undefined
  adminKeyId: string | undefined
  /** The code of the refusal. */
  code: ErrorCode | undefined
}

export function openVisit(request: IncomingMessage, clientAddress: ClientAddress, clock: Clock): Visit {
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
