import type { IncomingMessage } from 'node:http'
import type { ErrorCode } from '#core/errors.ts'

/** One request of another gateway, from its arrival to the end of its answer. */
export interface Visit {
  readonly requestId: string
  readonly request: IncomingMessage
  /** Of the request's target, as it was sent. */
  readonly path: string
  readonly query: URLSearchParams
  /**
   * Who asks, by the connection or by a trusted proxy. At `/auth/verify` the proxy asks for its own client, so it
   * is that client's address.
   */
  readonly address: string
  /** `address` was written by a trusted proxy: it is not the asking gateway's own. */
  readonly isForwarded: boolean
  /** `performance.now()` at its arrival. */
  readonly arrivedAt: number
  /** The route's template, for the log and the ledger; never the path, which may hold what a client wrote. */
  route: string
  userId: string | undefined
  adminKeyId: string | undefined
  /** Why it was refused. */
  code: ErrorCode | undefined
}
