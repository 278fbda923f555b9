import type { Dispatcher } from 'undici'
import type { Health } from './health.ts'
import { type AnswerHeaders, retryAfterMs } from './retry-after.ts'

/** What one request to an upstream tells, in order: sent, started, data, then end or failure, and nothing after. */
export interface Receiver {
  /** The request is on a connection: from here on it may cost something. */
  readonly onSent: () => void
  readonly onStart: (status: number, headers: AnswerHeaders) => void
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
  readonly onFailure: (failure: SendFailure) => void
}

export interface SendFailure {
  /**
   * `unreachable`: no answer came; `timeout`: none came in time; `broken`: it broke off after its headers;
   * `fault`: our own code failed.
   */
  readonly kind: 'unreachable' | 'timeout' | 'broken' | 'fault'
  readonly cause: unknown
  /** A connection that was open for long was closed as we wrote to it: a fresh one may well work. */
  readonly isStale: boolean
}

export interface ExchangeOptions {
  readonly health: Health
  readonly now: () => number
  readonly headersTimeoutMs: number
}

/** An answer that nobody wants any more is read on to keep its connection, unless it is longer than this. */
const discardBytesMax = 64 * 1024
const discardMs = 1000

/**
 * One request under way. Hides undici's handler: interim answers, an abort before the connection is there, the
 * errors that follow an abort, and exceptions of the receiver all end in at most one `onEnd` or `onFailure`.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #receiver: Receiver
  readonly #options: ExchangeOptions
  readonly #sentAt: number
  #controller: Dispatcher.DispatchController | undefined
  #timer: NodeJS.Timeout | undefined
  #hasStarted = false
  #isOver = false
  #discardedBytes = -1

  constructor(receiver: Receiver, options: ExchangeOptions) {
    this.#receiver = receiver
    this.#options = options
    this.#sentAt = options.now()
    // undici's own timer starts with the connection; this one also covers the wait for it.
    this.#timer = setTimeout(() => {
      this.#fail('timeout', new Error('no answer within the time for headers'))
      this.#controller?.abort(new Error('timeout'))
    }, options.headersTimeoutMs)
  }

  /** Ends it without a further word to the receiver. */
  abort(): void {
    if (this.#isOver && this.#discardedBytes < 0) return
    this.#close()
    this.#discardedBytes = -1
    this.#controller?.abort(new Error('aborted'))
  }

  /** Lets the answer run out unheard, so that its connection can serve again. */
  discard(): void {
    if (this.#isOver) return
    this.#close()
    this.#discardedBytes = 0
    this.#timer = setTimeout(() => this.abort(), discardMs)
    this.#controller?.resume()
  }

  pause(): void {
    if (!this.#isOver) this.#controller?.pause()
  }

  resume(): void {
    // After the end the controller would resume whatever answer came next on the same connection.
    if (!this.#isOver) this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error('aborted'))
    else this.#guard(() => this.#receiver.onSent())
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (this.#isOver || status < 200) return
    clearTimeout(this.#timer)
    this.#hasStarted = true
    const { health, now } = this.#options
    if (status === 429 || status >= 500) health.failed(retryAfterMs(headers, now()))
    else health.succeeded(this.#sentAt)
    this.#guard(() => this.#receiver.onStart(status, headers))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) {
      if (this.#discardedBytes < 0) return
      this.#discardedBytes += chunk.length
      if (this.#discardedBytes > discardBytesMax) this.abort()
      return
    }
    try {
      this.#receiver.onData(chunk)
    } catch (error) {
      this.#fail('fault', error)
      this.#controller?.abort(new Error('aborted'))
    }
  }

  onResponseEnd(): void {
    const wasOver = this.#isOver
    this.#close()
    this.#discardedBytes = -1
    if (wasOver) return
    try {
      this.#receiver.onEnd()
    } catch (error) {
      this.#receiver.onFailure({ kind: 'fault', cause: error, isStale: false })
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#discardedBytes = -1
    clearTimeout(this.#timer)
    this.#fail(this.#hasStarted ? 'broken' : isOurFault(error) ? 'fault' : 'unreachable', error)
  }

  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail('fault', error)
      this.#controller?.abort(new Error('aborted'))
    }
  }

  #fail(kind: SendFailure['kind'], cause: unknown): void {
    if (this.#isOver) return
    this.#close()
    const isStale = kind === 'unreachable' && isStaleConnection(cause)
    if (kind !== 'fault' && !isStale) this.#options.health.failed()
    this.#receiver.onFailure({ kind, cause, isStale })
  }

  #close(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}

/** undici refused what we gave it. */
function isOurFault(error: Error): boolean {
  return 'code' in error && (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED')
}

/** Closed by the peer after it had answered others: a keep-alive connection at its end, not an upstream in trouble. */
function isStaleConnection(error: unknown): boolean {
  if (!(error instanceof Error) || !('socket' in error)) return false
  const { socket } = error
  return (
    typeof socket === 'object' && socket !== null && 'bytesRead' in socket && Number(socket.bytesRead) > 0
  )
}
