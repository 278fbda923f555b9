import type { OperatorRefusal } from '#providers/operator-refusal.ts'
import type { StreamMeter, StreamOptions, UpstreamEndpoint } from '#providers/provider.ts'
import { errorBytesMax } from '#providers/whole-answer.ts'
import { type Figures, noFigures } from './charge.ts'

/**
 * A whole answer is kept up to this size, to find its usage. Of a longer one the start is kept, and the end, where the
 * usage usually is.
 */
const wholeBytesMax = 4 * 1024 * 1024
const tailBytesMin = 256 * 1024
const headBytes = 64 * 1024

const nothing = Buffer.alloc(0)

/**
 * An `AnswerReader` that keeps a whole answer as it passes, and reads it at its end. An object of a class, since every
 * request makes one: a function for each of its methods would cost a kilobyte.
 */
export class WholeAnswerReader {
  readonly isStream = false
  readonly takesEvents = false
  readonly coded = undefined
  readonly #endpoint: UpstreamEndpoint
  readonly #options: StreamOptions
  readonly #kept = new KeptEnd()
  #read: Figures | undefined
  #hasEnded = false

  constructor(endpoint: UpstreamEndpoint, options: StreamOptions) {
    this.#endpoint = endpoint
    this.#options = options
  }

  push(chunk: Buffer): Buffer {
    this.#kept.add(chunk)
    return chunk
  }

  end(): Buffer {
    this.#hasEnded = true
    return nothing
  }

  figures(): Figures {
    if (this.#read) return this.#read
    if (this.#kept.bytes === 0) return noFigures
    const body = this.#kept.body()
    const figures = startsEvent(body) ? this.#figuresOfEvents(body) : this.#modelled(this.#figuresOf(body))
    if (this.#hasEnded) this.#read = figures
    return figures
  }

  isComplete(): boolean {
    return false
  }

  isOver(): boolean {
    return false
  }

  hasBegun(): boolean {
    return this.#kept.bytes > errorBytesMax
  }

  isError(): boolean {
    return this.figures().isError
  }

  refusal(): OperatorRefusal | undefined {
    return undefined
  }

  wholeError(): Buffer | undefined {
    return this.figures().isError ? this.#kept.body() : undefined
  }

  shortBody(): Buffer | undefined {
    return this.#kept.bytes > errorBytesMax ? undefined : this.#kept.body()
  }

  close(): void {}

  /** Adds which models answered, where that matters. A whole answer names them in the same members as a stream's event. */
  #modelled(reading: Figures): Figures {
    if (!this.#options.namesModels) return reading
    const { models } = this.#figuresOfEvents(this.#kept.head ?? this.#kept.body())
    return { ...reading, ...(models && { models }) }
  }

  #figuresOf(body: Buffer): Figures {
    const { bytes, head } = this.#kept
    const { usage, extras, passed, isError } = this.#endpoint.readAnswer(body, bytes)
    if (usage || !head) return { usage, extras, passed, isError, isComplete: usage !== undefined }
    const start = this.#figuresOfEvents(head)
    if (!start.usage) return { usage, extras, passed, isError, isComplete: false }
    return { usage: start.usage, extras: start.extras, passed, isError, isComplete: true }
  }

  #figuresOfEvents(body: Buffer): Figures {
    const meter = this.#endpoint.openStream({ ...this.#options, withholdsUsage: false })
    meter.push(body)
    meter.end()
    return figuresOfStream(meter, this.#options)
  }
}

export function figuresOfStream(meter: StreamMeter, { namesModels }: StreamOptions): Figures {
  return {
    usage: meter.usage(),
    extras: meter.extras(),
    isComplete: meter.isComplete(),
    passed: meter.passed(),
    isError: meter.isError(),
    ...(namesModels && { models: meter.models() }),
  }
}

/** Some servers send a stream without saying so in their headers. */
function startsEvent(body: Buffer): boolean {
  const start = body.toString('latin1', 0, 6)
  return start.startsWith('data:') || start === 'event:' || start.startsWith(':')
}

/** Keeps an answer's bytes: all of a short one, else its start and its end. */
class KeptEnd {
  #chunks: Buffer[] = []
  #bytes = 0
  #keptBytes = 0
  #head: Buffer | undefined

  /** The length of the whole answer. */
  get bytes(): number {
    return this.#bytes
  }

  /** The first bytes of an answer that was too long to be kept whole. */
  get head(): Buffer | undefined {
    return this.#head
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    this.#keptBytes += chunk.length
    this.#chunks.push(chunk)
    if (this.#keptBytes <= wholeBytesMax) return
    // The tail is copied, so that a chunk of a few bytes does not keep a large buffer alive.
    const all = Buffer.concat(this.#chunks)
    this.#head ??= Buffer.from(all.subarray(0, headBytes))
    const tail = all.subarray(-tailBytesMin)
    this.#chunks = [Buffer.from(tail)]
    this.#keptBytes = tail.length
  }

  body(): Buffer {
    const [only] = this.#chunks
    if (this.#chunks.length === 1 && only) return only
    const body = Buffer.concat(this.#chunks)
    this.#chunks = [body]
    return body
  }
}
