/** A name or a word, which the end of a chunk may cut in two. */
export class CutWord {
  /** Where it starts in the present chunk; -1 outside of one. */
  start = -1
  /** A longer word is not kept. */
  readonly bytesMax: number
  /** What earlier chunks held of it. Few words are cut, so most streams need no buffer. */
  #kept: Buffer | undefined
  #keptBytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  open(at: number): void {
    this.start = at
    this.#keptBytes = 0
  }

  drop(): void {
    this.start = -1
    this.#keptBytes = 0
  }

  get isCut(): boolean {
    return this.#keptBytes > 0
  }

  /** The length of the word that ends here. */
  sizeAt(end: number): number {
    return this.#keptBytes + end - this.start
  }

  /** The bytes of the cut word that ends here, from the buffer's start; undefined if it is too long. */
  join(chunk: Buffer, end: number): Buffer | undefined {
    if (this.sizeAt(end) > this.bytesMax) return undefined
    this.#keep(chunk, end)
    return this.#kept
  }

  /** Keeps what the chunk holds of the word. */
  suspend(chunk: Buffer): void {
    if (this.start < 0) return
    const size = this.sizeAt(chunk.length)
    if (size <= this.bytesMax) this.#keep(chunk, chunk.length)
    this.#keptBytes = Math.min(this.bytesMax + 1, size)
    this.start = 0
  }

  #keep(chunk: Buffer, end: number): void {
    this.#kept ??= Buffer.alloc(this.bytesMax)
    chunk.copy(this.#kept, this.#keptBytes, this.start, end)
  }
}
