import type { Dispatcher } from 'undici'
import { factsOf } from './connector.ts'
import type { Health } from './health.ts'
import { type AnswerHeaders, retryAfterMs } from './retry-after.ts'

/** The events of one request to an upstream, in order: sent, started, data, then one end or failure. */
export interface Receiver {
  /** The request was written to a connection: from now on it may cost something. */
  readonly onSent: () => void
  readonly onStart: (status: number, headers: AnswerHeaders) => void
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
  readonly onFailure: (failure: SendFailure) => void
}

export interface SendFailure {
  /**
   * `unreachable`: the upstream never took the request; `timeout`: no answer came in time; `broken`: it took the
   * request and no whole answer came back; `fault`: our own code failed.
   */
  readonly kind: 'unreachable' | 'timeout' | 'broken' | 'fault'
  readonly cause: unknown
  /** It may have worked on the request: sending that again could have it executed twice, and it may have cost. */
  readonly mayHaveWorked: boolean
  /** A connection that had served before was closed as the request was written to it: a new one may work. */
  readonly isStale: boolean
}

export interface ExchangeOptions {
  readonly health: Health
  readonly now: () => number
  readonly headersTimeoutMs: number
  /** The user of the request; absent for the gateway's own requests. */
  readonly onBehalfOf?: string | undefined
}

/** An answer that is no longer needed is read on to keep its connection, unless it is longer than this. */
const discardBytesMax = 64 * 1024
const discardMs = 1000

/**
 * How soon after a request was written the end of its connection counts as having been on its way before. That is one
 * round trip, which is estimated by the time that the connection took to open, and an allowance for a busy process. An
 * upstream that read the request and closed later differs only in the time, so the bound is short.
 */
const onItsWayMs = 200
const onItsWayMaxMs = 1000

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
  /** `performance.now()` when it was written to a connection; undefined until then. */
  #writtenAt: number | undefined
  #isAnswered = false
  #hasStarted = false
  #isGood = false
  #isOver = false
  #discardedBytes = -1
  #discarded: { readonly chunks: Buffer[]; readonly onOver: (body: Buffer) => void } | undefined

  constructor(receiver: Receiver, options: ExchangeOptions) {
    this.#receiver = receiver
    this.#options = options
    this.#sentAt = options.now()
    // undici's own timer starts with the connection; this one also covers the wait for it.
    this.#timer = setTimeout(() => {
      const mayHaveWorked = this.#writtenAt !== undefined
      this.#fail({
        kind: 'timeout',
        cause: new Error('no answer within the time for headers'),
        mayHaveWorked,
      })
      this.#controller?.abort(new Error('timeout'))
    }, options.headersTimeoutMs)
  }

  /** Ends it without a further call of the receiver. */
  abort(): void {
    if (this.#isOver && this.#discardedBytes < 0) return
    this.#close()
    this.#endDiscard()
    this.#controller?.abort(new Error('aborted'))
  }

  /**
   * Lets the answer run out, so that its connection can serve again.
   *
   * @param onOver what came of it, at its end or at the end of the patience for it
   */
  discard(onOver?: (body: Buffer) => void): void {
    if (this.#isOver) return
    this.#close()
    this.#discardedBytes = 0
    this.#discarded = onOver && { chunks: [], onOver }
    this.#timer = setTimeout(() => this.abort(), discardMs)
    this.#controller?.resume()
  }

  pause(): void {
    if (!this.#isOver) this.#controller?.pause()
  }

  resume(): void {
    // After the end the controller would resume the next answer on the same connection.
    if (!this.#isOver) this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#writtenAt = performance.now()
    if (this.#isOver) controller.abort(new Error('aborted'))
    else this.#guard(() => this.#receiver.onSent())
  }

  /** The first byte of an answer, or of an interim one. */
  onResponseStarted(): void {
    this.#isAnswered = true
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (this.#isOver || status < 200) return
    clearTimeout(this.#timer)
    this.#hasStarted = true
    this.#noteHealth(status, headers)
    this.#guard(() => this.#receiver.onStart(status, headers))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) {
      if (this.#discardedBytes < 0) return
      this.#discardedBytes += chunk.length
      this.#discarded?.chunks.push(chunk)
      if (this.#discardedBytes > discardBytesMax) this.abort()
      return
    }
    try {
      this.#receiver.onData(chunk)
    } catch (error) {
      this.#fail({ kind: 'fault', cause: error, mayHaveWorked: true })
      this.#controller?.abort(new Error('aborted'))
    }
  }

  onResponseEnd(): void {
    const wasOver = this.#isOver
    this.#close()
    this.#endDiscard()
    if (this.#isGood) this.#options.health.completed()
    if (wasOver) return
    try {
      this.#receiver.onEnd()
    } catch (error) {
      this.#receiver.onFailure({ kind: 'fault', cause: error, mayHaveWorked: true, isStale: false })
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#endDiscard()
    clearTimeout(this.#timer)
    this.#fail(this.#failureOf(error))
  }

  #failureOf(error: Error): Omit<SendFailure, 'isStale'> & { readonly isStale?: boolean } {
    if (this.#hasStarted) return { kind: 'broken', cause: error, mayHaveWorked: true }
    if (isOurFault(error)) {
      if (!this.#isAnswered) return { kind: 'fault', cause: error, mayHaveWorked: false }
      // What undici makes of a 407 to a request that a proxy should have forwarded: the upstream never saw it.
      const cause = new Error('the proxy refuses its credential (407): look at proxy', { cause: error })
      return { kind: 'unreachable', cause, mayHaveWorked: false }
    }
    if (this.#writtenAt === undefined) return { kind: 'unreachable', cause: error, mayHaveWorked: false }
    const facts = this.#isAnswered || !isClosing(error) ? undefined : factsOf(error)
    const bound = Math.min(onItsWayMs + (facts?.openedInMs ?? 0), onItsWayMaxMs)
    if (!facts || performance.now() - this.#writtenAt > bound)
      return { kind: 'broken', cause: error, mayHaveWorked: true }
    return { kind: 'unreachable', cause: error, mayHaveWorked: false, isStale: facts.hasServed }
  }

  #noteHealth(status: number, headers: AnswerHeaders): void {
    const { health, now, onBehalfOf } = this.#options
    if (!isUnavailable(status) && !isDoubtful(status)) {
      this.#isGood = true
      health.succeeded(this.#sentAt)
      return
    }
    const [restMs, reason] = [retryAfterMs(headers, now()), `answered ${status}`]
    if (isUnavailable(status)) health.failed(restMs, reason)
    else health.doubted(onBehalfOf, { retryAfterMs: restMs, reason })
  }

  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail({ kind: 'fault', cause: error, mayHaveWorked: this.#hasStarted })
      this.#controller?.abort(new Error('aborted'))
    }
  }

  #fail(failure: Omit<SendFailure, 'isStale'> & { readonly isStale?: boolean }): void {
    if (this.#isOver) return
    this.#close()
    const { kind, isStale = false } = failure
    const { health, onBehalfOf } = this.#options
    if (kind === 'unreachable' && !isStale) health.failed(0, reasonOf(failure))
    else if (kind === 'broken' || kind === 'timeout')
      health.doubted(onBehalfOf, { isBroken: true, reason: reasonOf(failure) })
    this.#receiver.onFailure({ ...failure, isStale })
  }

  #endDiscard(): void {
    this.#discardedBytes = -1
    const discarded = this.#discarded
    this.#discarded = undefined
    discarded?.onOver(Buffer.concat(discarded.chunks))
  }

  #close(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}

/** Without the message, which may hold an address. */
function reasonOf({ kind, cause }: Pick<SendFailure, 'kind' | 'cause'>): string {
  const inner = cause instanceof AggregateError ? cause.errors[0] : cause
  const code = inner instanceof Error && 'code' in inner ? ` (${String(inner.code)})` : ''
  return `${kind}${code}`
}

/** undici refused the arguments of the request. */
function isOurFault(error: Error): boolean {
  return 'code' in error && (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED')
}

/** The connection ended, or its encryption was refused; bytes that cannot be read are another failure. */
function isClosing(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : ''
  return closingCodes.has(code) || code.startsWith('ERR_SSL_')
}

const closingCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'])

/** The upstream itself says that it cannot serve requests now. */
function isUnavailable(status: number): boolean {
  return status === 429 || status === 503 || status === 529
}

/** Either the upstream or only this request is at fault: a server may answer a malformed request with 500. */
function isDoubtful(status: number): boolean {
  return status >= 500 || status === 401 || status === 402 || (status >= 300 && status < 400)
}
