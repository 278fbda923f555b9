import type { ServerResponse } from 'node:http'

const comment = ': keep-alive\n\n'

/**
 * The client's side of a relay. Bytes are written as they arrive, but the last of them wait for `finish`, which is called
 * when the settlement is durable: an answer that a client saw complete is booked. The last bytes are the end of a chunked
 * answer, or those that complete a `content-length`. After `hold` all bytes wait, since most clients take a stream for
 * ended at its last event, even while the connection is open.
 */
export class Delivery {
  readonly #response: ServerResponse
  readonly #stalledMs: number
  #head: { readonly status: number; readonly headers: string[] } | undefined
  #left = -1
  #held: Buffer | undefined
  #isHolding = false
  #stall: NodeJS.Timeout | undefined
  /** The last four bytes that were written; they tell whether a stream is between two events. */
  #tail = 0
  #hasBody = false
  #quiet: NodeJS.Timeout | undefined
  #quietMs = 0
  #isEarly = false

  /** @param onDrain called when the client has read its backlog */
  constructor(response: ServerResponse, stalledMs: number, onDrain: () => void) {
    this.#response = response
    this.#stalledMs = stalledMs
    response.on('drain', () => {
      clearTimeout(this.#stall)
      onDrain()
    })
  }

  /** Whether the client may have received bytes of an answer. Before that another answer can still be given. */
  get hasStarted(): boolean {
    return this.#response.headersSent && !this.#isEarly
  }

  /** Whether a stream was begun of which only comments were sent. Only events may follow. */
  get isEarly(): boolean {
    return this.#isEarly
  }

  /**
   * Whether the gateway may end the stream by an event of its own: the last event is complete, and no `content-length`
   * was sent.
   */
  get isBetweenEvents(): boolean {
    if (this.#left >= 0) return false
    return !this.#hasBody || (this.#tail & 0xffff) === 0x0a0a || this.#tail === 0x0d0a0d0a
  }

  /** @param contentLength -1 if it is unknown */
  start(status: number, headers: string[], contentLength: number, isStream: boolean): void {
    if (this.#isEarly) return
    this.#left = contentLength
    this.#head = { status, headers }
    // The headers go out with the first bytes if these are here already. A stream's headers must not wait for later
    // bytes.
    if (isStream && !this.#isHolding) process.nextTick(flush, this)
  }

  flushHead(): void {
    if (!this.#head || this.#response.destroyed) return
    try {
      this.#writeHead()
      this.#response.flushHeaders()
    } catch {
      // node:http refuses to write some headers. This runs from a tick or an event, where no caller could catch the
      // error.
      this.destroy()
    }
  }

  #writeHead(): void {
    if (!this.#head) return
    this.#response.writeHead(this.#head.status, this.#head.headers)
    this.#head = undefined
  }

  /**
   * Sends a comment whenever the stream was silent for so long, since balancers and browsers close a silent connection.
   * Clients of server-sent events ignore comments. It is never sent within an event, nor after a `content-length`.
   */
  keepAlive(quietMs: number): void {
    this.#quietMs = quietMs
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#sayAlive()
      this.#quiet?.refresh()
    }, quietMs).unref()
  }

  /** Begins a stream before the upstream has answered, and keeps it alive. */
  startEarly(headers: string[], quietMs: number): void {
    if (this.#response.destroyed) return
    this.#response.writeHead(200, headers)
    this.#isEarly = true
    this.#sayAlive()
    this.keepAlive(quietMs)
  }

  #sayAlive(): void {
    const response = this.#response
    const mayWrite = response.headersSent && !this.#isHolding && !response.writableNeedDrain
    if (mayWrite && this.isBetweenEvents && !response.destroyed) response.write(comment)
  }

  /** False if the client is slower than the upstream: wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    const { length } = chunk
    // A destroyed response takes no more bytes, though its `close` event may come later.
    if (length === 0 || this.#response.destroyed) return true
    this.#hasBody = true
    this.#quiet?.refresh()
    if (length >= 4) this.#tail = chunk.readInt32BE(length - 4)
    else for (const byte of chunk) this.#tail = (this.#tail << 8) | byte
    if (this.#left >= 0) {
      this.#left -= length
      if (this.#left <= 0) return this.#keep(chunk)
    }
    if (this.#isHolding) return this.#keep(chunk)
    if (this.#head) this.#writeHead()
    this.#isEarly = false
    if (this.#response.write(chunk)) return true
    clearTimeout(this.#stall)
    // A client that stops reading would keep its reservation and an upstream connection for ever.
    this.#stall = setTimeout(() => this.#response.destroy(), this.#stalledMs)
    return false
  }

  #keep(chunk: Buffer): true {
    this.#held = this.#held ? Buffer.concat([this.#held, chunk]) : chunk
    return true
  }

  /** From now on all bytes wait for `letGo` or `finish`. */
  hold(): void {
    this.#isHolding = true
  }

  /** @param isFollowed more bytes are written right after this; the headers go out with them */
  letGo(isFollowed = false): void {
    this.#isHolding = false
    if (isFollowed && this.#held === undefined) return
    // The bytes that complete a `content-length` end the answer, so they wait for `finish`.
    if (this.#left === 0 || this.#response.destroyed) return
    if (this.#held === undefined) this.flushHead()
    else {
      this.#writeHead()
      this.#writeHeld()
    }
  }

  /** Drops an answer of which nothing was sent, so that another can take its place. */
  reset(): void {
    this.close()
    this.#head = undefined
    this.#left = -1
    this.#held = undefined
    this.#isHolding = false
    this.#tail = 0
    this.#hasBody = false
    if (this.#isEarly) this.keepAlive(this.#quietMs)
  }

  #writeHeld(): void {
    if (this.#held) {
      this.#isEarly = false
      this.#response.write(this.#held)
    }
    this.#held = undefined
  }

  finish(last?: string): void {
    this.close()
    this.#writeHead()
    if (last !== undefined) this.#writeHeld()
    this.#response.end(last ?? this.#held)
  }

  /** Closes the connection, so that the client sees that its answer is incomplete. */
  destroy(): void {
    this.close()
    this.#response.destroy()
  }

  /** Stops the timers. If the answer has not begun, another can still be given. */
  close(): void {
    clearTimeout(this.#stall)
    clearTimeout(this.#quiet)
  }
}

function flush(delivery: Delivery): void {
  delivery.flushHead()
}
