import type { OperatorRefusal } from '#providers/operator-refusal.ts'
import type { Endpoint, StreamMeter, StreamOptions } from '#providers/provider.ts'
import { openDecoder } from '#upstreams/decoder.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import { type Figures, noFigures } from './charge.ts'

/** Follows one answer as it passes, to know its usage at its end. */
export interface AnswerMeter {
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
  /** Whether a stream has stated its last figures, should nothing more come; a whole answer never says so before its end. */
  readonly isComplete: () => boolean
  /** Whether nothing more comes that could change them. */
  readonly isOver: () => boolean
  /** Whether it is known that the answer is more than an error; a whole answer is known at its end. */
  readonly hasBegun: () => boolean
  readonly isError: () => boolean
  /** A stream holds an error that speaks of the operator's account; it does not pass, nor what comes after it. */
  readonly refusal: () => OperatorRefusal | undefined
  /** A whole answer that is an error, decoded. */
  readonly wholeError: () => Buffer | undefined
  readonly close: () => void
}

/** A whole answer is kept up to here to find its usage; of a longer one the end, where usage stands as a rule, and the start. */
const wholeBytesMax = 4 * 1024 * 1024
const tailBytesMin = 256 * 1024
const headBytes = 64 * 1024

/** Of a compressed answer so much is decoded, some seconds of another thread's work; its start and its end are kept. */
const decodedBytesMax = 1024 * 1024 * 1024

/** An answer that is longer is no error. */
const errorBytesMax = 64 * 1024

const nothing = Buffer.alloc(0)

/**
 * @param options how to read a stream. The usage that the gateway itself asked for cannot be taken out again where the
 *   upstream compressed its answer in spite of us: then the client gets that chunk too.
 */
export function openAnswerMeter(
  endpoint: Endpoint,
  headers: AnswerHeaders,
  options: StreamOptions,
): AnswerMeter {
  const encoding = wordOf(headers['content-encoding'])
  const isStream = wordOf(headers['content-type']) === 'text/event-stream'
  if (encoding !== '' && encoding !== 'identity') {
    const reader = openReader(endpoint, isStream, { ...options, withholdsUsage: false })
    return openDecoded(reader, encoding, isStream)
  }
  const reader = openReader(endpoint, isStream, options)
  return { isStream, takesEvents: isStream, ...reader, whenRead: (done) => done(), close: () => {} }
}

type Reader = Omit<AnswerMeter, 'isStream' | 'takesEvents' | 'whenRead' | 'close'>

/** A header's first word without its parameters; media types and codings are the same in any case (RFC 9110). */
function wordOf(value: string | string[] | undefined): string {
  const first = Array.isArray(value) ? value[0] : value
  if (first === undefined || first === 'application/json') return first ?? ''
  return (first ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function openReader(endpoint: Endpoint, isStream: boolean, options: StreamOptions): Reader {
  return isStream ? readStream(endpoint.openStream(options), options) : readWhole(endpoint, options)
}

function readStream(meter: StreamMeter, { namesModels }: StreamOptions): Reader {
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

function readWhole(endpoint: Endpoint, options: StreamOptions): Reader {
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

  /** Adds which models it is of, where that matters: they stand where a stream's event has them. */
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

/** Some servers stream without a word about it in their headers. */
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
  /** The first bytes of an answer of which only the end is kept. */
  readonly head: () => Buffer | undefined
  /** How many there were. */
  readonly bytes: () => number
}

/** Keeps an answer's bytes: all of a short one, else its end. */
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
      // In one piece, so that a chunk of a few bytes does not keep a large one alive.
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

/** Reads a decoded copy; the client's bytes stay as they came. */
function openDecoded(reader: Reader, encoding: string, isStream: boolean): AnswerMeter {
  const decoder = openDecoder(encoding, (chunk) => reader.push(chunk), { bytesMax: decodedBytesMax })
  let bytes = 0
  return {
    isStream,
    takesEvents: false,
    push(chunk) {
      bytes += chunk.length
      if (decoder) decoder.push(chunk)
      // An encoding nobody knows still passes, and is estimated by its bytes.
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
    // What has passed may not be decoded yet.
    isComplete: () => false,
    isOver: () => false,
    hasBegun: () => isStream || bytes > errorBytesMax,
    isError: reader.isError,
    refusal: reader.refusal,
    wholeError: reader.wholeError,
    close: () => decoder?.destroy(),
  }
}
