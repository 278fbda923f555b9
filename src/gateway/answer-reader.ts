import type { OperatorRefusal } from '#providers/operator-refusal.ts'
import type { Endpoint, StreamMeter, StreamOptions } from '#providers/provider.ts'
import { openDecoder } from '#upstreams/decoder.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import type { Figures } from './charge.ts'
import { errorBytesMax, figuresOfStream, WholeAnswerReader } from './whole-answer-reader.ts'

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

/** The most of a compressed answer that is decoded, some seconds of another thread's work; its start and end are kept. */
const decodedBytesMax = 1024 * 1024 * 1024

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
  return openReader(endpoint, isStream, options)
}

/** A header's first word without its parameters; media types and codings are the same in any case (RFC 9110). */
function wordOf(value: string | string[] | undefined): string {
  const first = Array.isArray(value) ? value[0] : value
  if (first === undefined || first === 'application/json') return first ?? ''
  return (first ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function openReader(endpoint: Endpoint, isStream: boolean, options: StreamOptions): AnswerReader {
  return isStream
    ? readStream(endpoint.openStream(options), options)
    : new WholeAnswerReader(endpoint, options)
}

function readStream(meter: StreamMeter, options: StreamOptions): AnswerReader {
  return {
    isStream: true,
    takesEvents: true,
    push: meter.push,
    end: meter.end,
    whenRead: (done) => done(),
    isComplete: meter.isComplete,
    isOver: meter.isOver,
    hasBegun: meter.hasBegun,
    isError: meter.isError,
    refusal: meter.refusal,
    wholeError: () => undefined,
    figures: () => figuresOfStream(meter, options),
    close: () => {},
  }
}

/** Reads a decoded copy; the client gets the bytes unchanged. */
function openDecoded(reader: AnswerReader, encoding: string, isStream: boolean): AnswerReader {
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
    figures: () => reader.figures(),
    // Bytes that have passed may not be decoded yet.
    isComplete: () => false,
    isOver: () => false,
    hasBegun: () => isStream || bytes > errorBytesMax,
    isError: () => reader.isError(),
    refusal: () => reader.refusal(),
    wholeError: () => reader.wholeError(),
    close: () => decoder?.destroy(),
  }
}
