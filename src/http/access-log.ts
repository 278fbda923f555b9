import type { ErrorCode } from '#core/errors.ts'
import type { Log } from './log.ts'

/** Of a refusal or failure; `client_gone` where the client hung up before its answer was complete. */
export type EndingCode = ErrorCode | 'client_gone'

/** The log line of one request. It never holds a URL: paths and queries may hold access tokens. */
export interface AccessLine {
  readonly requestId: string
  readonly method: string
  /** The route's template, e.g. `/v1/messages`; `none` where no route took the request. */
  readonly route: string
  readonly status: number
  /** Why it was refused, or how it failed: the code that its answer carries and its entry in the ledger keeps. */
  readonly code?: EndingCode | undefined
  readonly durationMs: number
  readonly address: string
  readonly userId?: string | undefined
  readonly adminKeyId?: string | undefined
  /** The session of a browser that the key has opened. */
  readonly sessionId?: string | undefined
  /** Where the answer is good, the line is logged at debug level only. */
  readonly isQuiet?: boolean
}

/** Writes the line that every request gets, once, when its answer has ended. */
export function logAccess(log: Log, line: AccessLine): void {
  const { code, userId, adminKeyId, sessionId, durationMs, isQuiet, ...rest } = line
  const level = line.status >= 500 ? 'error' : isQuiet && line.status < 400 ? 'debug' : 'info'
  if (!log.isLevelEnabled(level)) return
  const entry = {
    ...rest,
    ...(code !== undefined && { code }),
    durationMs: Math.round(durationMs * 10) / 10,
    ...(userId !== undefined && { userId }),
    ...(adminKeyId !== undefined && { adminKeyId }),
    ...(sessionId !== undefined && { sessionId }),
  }
  log[level](entry, 'request')
}
