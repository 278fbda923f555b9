import type { OperatorRefusal } from '#providers/operator-refusal.ts'
import type { Endpoint, StreamMeter, StreamOptions } from '#providers/provider.ts'
import { openDecoder } from '#upstreams/decoder.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import { type Figures, noFigures } from './charge.ts'

/** Reads one answer as it passes, to know its usage at its end. */
export interface AnswerReader {
  readonly isStream: boolean
  /** Whether the client can read an event that the gateway adds at the end. */
  readonly takesEvents: boolean
  /** Takes the next bytes and returns those to send on. */
  readonly push: (chunk: Buffer) => Buffer
  /** Bytes still held back when the answer has ended. */
  readonly end: () => Buffer
  /** Calls back when the last bytes are understood: at once, unless they have to be decoded. */
  readonly whenRead: (done: () => void) => void
  readonly figures: () => Figures
  /** Whether a stream has stated its last figures, if nothing more comes; never true of a whole answer before its end. */
  readonly isComplete: () => boolean
  /** Whether nothing can come any more that changes the figures. */
  readonly isOver: () => boolean
  /** Whether the answer is known to be more than an error; of a whole answer this is known at its end. */
  readonly hasBegun: () => boolean
  readonly isError: () => boolean
  /** Set if a stream holds an error about the operator's account. Neither this error passes, nor what comes after it. */
  readonly refusal: () => OperatorRefusal | undefined
  /** The decoded body, if a whole answer is an error. */
  readonly wholeError: () => Buffer | undefined
  readonly close: () => void
}

/**
 * A whole answer is kept up to this size, to find its usage. Of a longer one the start is kept, and the end, where the
 * usage usually is.
 */
const wholeBytesMax = 4 * 1024 * 1024
const tailBytesMin = 256 * 1024
const headBytes = 64 * 1024

/** The most of a compressed answer that is decoded, some seconds of another thread's work; its start and end are kept. */
const decodedBytesMax = 1024 * 1024 * 1024

/** A longer answer is not an error. */
const errorBytesMax = 64 * 1024

const nothing = Buffer.alloc(0)

/**
 * @param options how to read a stream. If the upstream compressed its answer although the gateway did not ask for that,
 *   the usage that the gateway itself requested cannot be taken out again, and the client gets that chunk too.
 */
export function openAnswerReader(
  endpoint: Endpoint,
  headers: AnswerHeaders,
  options: StreamOptions,
): AnswerReader {
  const encoding = wordOf(headers['content-encoding'])
  const isStream = wordOf(headers['content-type']) === 'text/event-stream'
  if (encoding !== '' && encoding !== 'identity') {
    const reader = openReader(endpoint, isStream, { ...options, withholdsUsage: false })
    return openDecoded(reader, encoding, isStream)
  }
  const reader = openReader(endpoint, isStream, options)
  return { isStream, takesEvents: isStream, ...reader, whenRead: (done) => done(), close: () => {} }
}

type PlainReader = Omit<AnswerReader, 'isStream' | 'takesEvents' | 'whenRead' | 'close'>

/** A header's first word without its parameters; media types and codings are the same in any case (RFC 9110). */
function wordOf(value: string | string[] | undefined): string {
  const first = Array.isArray(value) ? value[0] : value
  if (first === undefined || first === 'application/json') return first ?? ''
  return (first ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function openReader(endpoint: Endpoint, isStream: boolean, options: StreamOptions): PlainReader {
  return isStream ? readStream(endpoint.openStream(options), options) : readWhole(endpoint, options)
}

function readStream(meter: StreamMeter, { namesModels }: StreamOptions): PlainReader {
  return {
    push: meter.push,
    end: meter.end,
    isComplete: meter.isComplete,
    isOver: meter.isOver,
    hasBegun: meter.hasBegun,
    isError: meter.isError,
    refusal: meter.refusal,
    wholeError: () => undefined,
    figures: () => ({
      usage: meter.usage(),
      extras: meter.extras(),
      isComplete: meter.isComplete(),
      passed: meter.passed(),
      isError: meter.isError(),
      ...(namesModels && { models: meter.models() }),
    }),
  }
}

function readWhole(endpoint: Endpoint, options: StreamOptions): PlainReader {
  const kept = keepEnd()
  let read: Figures | undefined
  let hasEnded = false

  function figures(): Figures {
    if (read) return read
    if (kept.bytes() === 0) return noFigures
    const body = kept.body()
    const figuresNow = startsEvent(body)
      ? figuresOfEvents(endpoint, body, options)
      : modelled(figuresOf(body))
    if (hasEnded) read = figuresNow
    return figuresNow
  }

  /** Adds which models answered, where that matters. A whole answer names them in the same members as a stream's event. */
  function modelled(reading: Figures): Figures {
    if (!options.namesModels) return reading
    const { models } = figuresOfEvents(endpoint, kept.head() ?? kept.body(), options)
    return { ...reading, ...(models && { models }) }
  }

  function figuresOf(body: Buffer): Figures {
    const reading = endpoint.readAnswer(body, kept.bytes())
    const head = kept.head()
    if (reading.usage || !head) return { ...reading, isComplete: reading.usage !== undefined }
    const start = figuresOfEvents(endpoint, head, options)
    if (!start.usage) return { ...reading, isComplete: false }
    return { ...reading, usage: start.usage, extras: start.extras, isComplete: true }
  }

  return {
    push(chunk) {
      kept.add(chunk)
      return chunk
    },
    end() {
      hasEnded = true
      return nothing
    },
    isComplete: () => false,
    isOver: () => false,
    hasBegun: () => kept.bytes() > errorBytesMax,
    isError: () => figures().isError,
    refusal: () => undefined,
    wholeError: () => (figures().isError ? kept.body() : undefined),
    figures,
  }
}

/** Some servers send a stream without saying so in their headers. */
function startsEvent(body: Buffer): boolean {
  const start = body.toString('latin1', 0, 6)
  return start.startsWith('data:') || start === 'event:' || start.startsWith(':')
}

function figuresOfEvents(endpoint: Endpoint, body: Buffer, options: StreamOptions): Figures {
  const reader = readStream(endpoint.openStream({ ...options, withholdsUsage: false }), options)
  reader.push(body)
  reader.end()
  return reader.figures()
}

interface KeptEnd {
  readonly add: (chunk: Buffer) => void
  readonly body: () => Buffer
  /** The first bytes of an answer that was too long to be kept whole. */
  readonly head: () => Buffer | undefined
  /** The length of the whole answer. */
  readonly bytes: () => number
}

/** Keeps an answer's bytes: all of a short one, else its start and its end. */
function keepEnd(): KeptEnd {
  let chunks: Buffer[] = []
  let bytes = 0
  let keptBytes = 0
  let head: Buffer | undefined
  return {
    head: () => head,
    add(chunk) {
      bytes += chunk.length
      keptBytes += chunk.length
      chunks.push(chunk)
      if (keptBytes <= wholeBytesMax) return
      // The tail is copied, so that a chunk of a few bytes does not keep a large buffer alive.
      const all = Buffer.concat(chunks)
      head ??= Buffer.from(all.subarray(0, headBytes))
      const tail = all.subarray(-tailBytesMin)
      chunks = [Buffer.from(tail)]
      keptBytes = tail.length
    },
    body() {
      const [only] = chunks
      if (chunks.length === 1 && only) return only
      const body = Buffer.concat(chunks)
      chunks = [body]
      return body
    },
    bytes: () => bytes,
  }
}

/** Reads a decoded copy; the client gets the bytes unchanged. */
function openDecoded(reader: PlainReader, encoding: string, isStream: boolean): AnswerReader {
  const decoder = openDecoder(encoding, (chunk) => reader.push(chunk), { bytesMax: decodedBytesMax })
  let bytes = 0
  return {
    isStream,
    takesEvents: false,
    push(chunk) {
      bytes += chunk.length
      if (decoder) decoder.push(chunk)
      // An unknown encoding still passes; its usage is estimated from its bytes.
      else reader.push(chunk)
      return chunk
    },
    end: () => nothing,
    whenRead(done) {
      const read = () => {
        reader.end()
        done()
      }
      if (decoder) decoder.end(read)
      else read()
    },
    figures: reader.figures,
    // Bytes that have passed may not be decoded yet.
    isComplete: () => false,
    isOver: () => false,
    hasBegun: () => isStream || bytes > errorBytesMax,
    isError: reader.isError,
    refusal: reader.refusal,
    wholeError: reader.wholeError,
    close: () => decoder?.destroy(),
  }
}
