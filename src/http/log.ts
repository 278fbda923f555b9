import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/**
 * JSON lines, one per event, `time` in epoch milliseconds. Lines are buffered and written off the request's path, at
 * the latest after a second; pino flushes the rest when the process exits. Only listed members of an error are logged,
 * so that an error object that holds a request cannot put its URL or its headers into the log.
 */
export function createLog(options: {
  readonly level: LogLevel
  readonly destination?: DestinationStream
}): Log {
  const destination =
    options.destination ?? pino.destination({ sync: false, minLength: 4096, periodicFlush: 1000 })
  return pino(
    {
      level: options.level,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error) },
    },
    destination,
  )
}

interface ErrorDescription {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: ErrorDescription
}

const causesMax = 5

function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const cause =
    error.cause !== undefined && depth < causesMax ? describeError(error.cause, depth + 1) : undefined
  return {
    type: error.name,
    message: error.message,
    ...(code !== undefined && { code }),
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(cause !== undefined && { cause }),
  }
}
