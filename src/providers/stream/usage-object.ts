import { parseRecord } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'
import { noted } from './notes.ts'

/** A usage object has a few hundred bytes; a hostile one must not grow without bound. */
const bytesMax = 64 * 1024

/** The usage object that passes, or the object of tools: the only bytes of a stream that are kept and parsed. */
export class UsageObject {
  /** The depth at which it opened; -1 while none passes. */
  depth = -1
  readonly #reader: UsageReader
  #isOfTools = false
  /** Where its bytes start in the present chunk; -1 between two lines. */
  #from = -1
  #bytes = 0
  #pieces: Buffer[] = []

  constructor(reader: UsageReader) {
    this.#reader = reader
  }

  open(at: number, depth: number, isOfTools: boolean): void {
    this.depth = depth
    this.#isOfTools = isOfTools
    this.#from = at
  }

  /** Goes on in the event's next line. */
  resume(at: number): void {
    if (this.depth >= 0) this.#from = at
  }

  /** Keeps what the line held of it, up to the line's end. */
  endLine(chunk: Buffer, end: number): void {
    if (this.depth >= 0) this.#keep(chunk, end)
  }

  /** Keeps what the chunk holds of it. */
  suspend(chunk: Buffer): void {
    if (this.#from < 0) return
    this.#keep(chunk, chunk.length)
    this.#from = 0
  }

  /** Reads the object that ends here, unless it is too long or no JSON; returns what is noted of it. */
  close(chunk: Buffer, end: number): number {
    this.#keep(chunk, end)
    const { depth } = this
    const record = this.#bytes <= bytesMax ? parseRecord(Buffer.concat(this.#pieces)) : undefined
    this.drop()
    if (!record) return 0
    if (this.#isOfTools) {
      this.#reader.takeTools(record)
      return 0
    }
    this.#reader.take(record)
    return depth === 1 ? noted.usage | noted.topUsage : noted.usage
  }

  drop(): void {
    if (this.depth < 0) return
    this.depth = -1
    this.#from = -1
    this.#bytes = 0
    this.#pieces = []
  }

  #keep(chunk: Buffer, end: number): void {
    if (this.#from < 0) return
    this.#bytes += end - this.#from
    // A copy, since a slice would keep the whole chunk in memory.
    if (this.#bytes <= bytesMax) this.#pieces.push(Buffer.from(chunk.subarray(this.#from, end)))
    this.#from = -1
  }
}
