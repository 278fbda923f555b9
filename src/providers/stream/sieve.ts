const nothing = Buffer.alloc(0)
const [lineFeed, carriageReturn] = [0x0a, 0x0d]

/** Passes bytes in order, except events that turn out to be unwanted. */
export class Sieve {
  /** A part of the present event has passed. */
  isPartlyOut = false
  #chunk: Buffer = nothing
  /** The bytes of the chunk from here to `#eventStart` pass. */
  #passFrom = 0
  #eventStart = 0
  #passed: Buffer[] = []
  #held: Buffer[] = []
  #heldBytes = 0
  /** The removed event ended in a CR at the chunk's end; its LF may follow. */
  #dropsLineFeed = false

  /** Takes a chunk; returns where to start reading it. */
  start(chunk: Buffer): number {
    this.#chunk = chunk
    if (this.#passed.length > 0) this.#passed = []
    const drops = this.#dropsLineFeed && chunk[0] === lineFeed
    if (chunk.length > 0) this.#dropsLineFeed = false
    this.#passFrom = drops ? 1 : 0
    this.#eventStart = this.#passFrom
    return this.#passFrom
  }

  /** The bytes of the event that ends at this offset, as far as they are held. */
  event(at: number): Buffer {
    return Buffer.concat([...this.#held, this.#chunk.subarray(this.#eventStart, at)])
  }

  /** To be called where an event ends. Bytes of an unwanted event that have passed cannot be taken back. */
  endEvent(at: number, isUnwanted: boolean): void {
    if (isUnwanted) {
      this.#flush()
      this.#drop()
      this.#dropsLineFeed = at === this.#chunk.length && this.#chunk[at - 1] === carriageReturn
      this.#passFrom = at
    } else this.#release()
    this.#eventStart = at
    this.isPartlyOut = false
  }

  /** Passes these bytes in place of an event that was removed. */
  put(bytes: Buffer): void {
    this.#passed.push(bytes)
  }

  /** To be called where a chunk ends within an event, of which at most this much is held. */
  endChunk(mostHeld: number): void {
    const { length } = this.#chunk
    const size = length - this.#eventStart
    if (this.#heldBytes + size > mostHeld) {
      this.#release()
      this.isPartlyOut = true
      this.#eventStart = length
      return
    }
    this.#flush()
    this.#passFrom = this.#eventStart = length
    this.#held.push(this.#chunk.subarray(length - size))
    this.#heldBytes += size
  }

  /** The bytes that pass now. */
  take(): Buffer {
    const isWhole = this.#passed.length === 0 && this.#passFrom === 0
    if (isWhole && this.#eventStart === this.#chunk.length) return this.#chunk
    this.#flush()
    const only = this.#passed[0]
    return this.#passed.length === 1 && only ? only : Buffer.concat(this.#passed)
  }

  /** The bytes that are still held. */
  end(): Buffer {
    return Buffer.concat(this.#held)
  }

  #release(): void {
    if (this.#heldBytes === 0) return
    this.#passed.push(...this.#held)
    this.#drop()
  }

  #drop(): void {
    if (this.#heldBytes === 0) return
    this.#held = []
    this.#heldBytes = 0
  }

  #flush(): void {
    if (this.#eventStart > this.#passFrom)
      this.#passed.push(this.#chunk.subarray(this.#passFrom, this.#eventStart))
  }
}
