import type { ServerResponse } from 'node:http'

const comment = ': keep-alive\n\n'

/**
 * The client's side of a relay. Bytes are written as they come, but the last of them waits for `finish`, which is
 * called when the settlement is durable: what a client saw finished is booked. The last is the end of a chunked
 * answer, or the bytes that complete a `content-length`; and from `hold` on everything, since to most clients a
 * stream has ended with its last event, whatever becomes of the connection.
 */
export class Delivery {
  readonly #response: ServerResponse
  readonly #stalledMs: number
  #head: { readonly status: number; readonly headers: string[] } | undefined
  #left = -1
  #held: Buffer | undefined
  #isHolding = false
  #stall: NodeJS.Timeout | undefined
  /** The last four bytes that were written, to know whether a stream stands between two events. */
  #tail = 0
  #hasBody = false
  #quiet: NodeJS.Timeout | undefined
  #quietMs = 0
  #isEarly = false

  /** @param onDrain the client has taken what was waiting for it */
  constructor(response: ServerResponse, stalledMs: number, onDrain: () => void) {
    this.#response = response
    this.#stalledMs = stalledMs
    response.on('drain', () => {
      clearTimeout(this.#stall)
      onDrain()
    })
  }

  /** Whether the client may have seen something of an answer. Until then another can still be given. */
  get hasStarted(): boolean {
    return this.#response.headersSent && !this.#isEarly
  }

  /** A stream was begun of which nothing but comments has gone out: what follows has to be events. */
  get isEarly(): boolean {
    return this.#isEarly
  }

  /** Whether a stream may be ended by an event of ours: the last one was whole, and nobody said how long it is. */
  get isBetweenEvents(): boolean {
    if (this.#left >= 0) return false
    return !this.#hasBody || (this.#tail & 0xffff) === 0x0a0a || this.#tail === 0x0d0a0d0a
  }

  /** @param contentLength -1 where nobody knows */
  start(status: number, headers: string[], contentLength: number, isStream: boolean): void {
    if (this.#isEarly) return
    this.#left = contentLength
    this.#head = { status, headers }
    // Headers go with the first bytes where those are here already; a stream's must not wait for later ones.
    if (isStream && !this.#isHolding) process.nextTick(flush, this)
  }

  flushHead(): void {
    if (!this.#head || this.#response.destroyed) return
    try {
      this.#writeHead()
      this.#response.flushHeaders()
    } catch {
      // A header that node:http will not write; nobody above could catch it.
      this.destroy()
    }
  }

  #writeHead(): void {
    if (!this.#head) return
    this.#response.writeHead(this.#head.status, this.#head.headers)
    this.#head = undefined
  }

  /**
   * Sends a comment, which no client of server-sent events tells its program of, whenever nothing has come for so long,
   * since balancers and browsers give up a connection that is silent. Never within an event, nor where a length was said.
   */
  keepAlive(quietMs: number): void {
    this.#quietMs = quietMs
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#sayAlive()
      this.#quiet?.refresh()
    }, quietMs).unref()
  }

  /** Begins a stream of which nothing is known yet, and keeps it alive. */
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

  /** False where the client is slower than the upstream: wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    const { length } = chunk
    // Once destroyed it takes nothing more, though its `close` may come later.
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
    // A client that reads nothing at all would keep its quota's hold and a connection upstream for ever.
    this.#stall = setTimeout(() => this.#response.destroy(), this.#stalledMs)
    return false
  }

  #keep(chunk: Buffer): true {
    this.#held = this.#held ? Buffer.concat([this.#held, chunk]) : chunk
    return true
  }

  /** From here on everything waits for `letGo` or `finish`. */
  hold(): void {
    this.#isHolding = true
  }

  /** @param isFollowed more is written at once, which the head goes out with */
  letGo(isFollowed = false): void {
    this.#isHolding = false
    if (isFollowed && this.#held === undefined) return
    // The bytes that complete a length are the answer's end, and wait for that.
    if (this.#left === 0 || this.#response.destroyed) return
    if (this.#held === undefined) this.flushHead()
    else {
      this.#writeHead()
      this.#writeHeld()
    }
  }

  /** Forgets an answer of which nothing has gone out: another takes its place. */
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

  /** Breaks the connection off, so that the client sees an answer that is not whole. */
  destroy(): void {
    this.close()
    this.#response.destroy()
  }

  /** Nothing of what was begun goes out any more; an answer that has not begun can be given in another way. */
  close(): void {
    clearTimeout(this.#stall)
    clearTimeout(this.#quiet)
  }
}

function flush(delivery: Delivery): void {
  delivery.flushHead()
}
