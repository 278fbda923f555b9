import type { Endpoint, StreamMeter } from '#providers/provider.ts'
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
  /** Whether a stream has stated its last figures; a whole answer never says so before its end. */
  readonly isComplete: () => boolean
  readonly close: () => void
}

/** A whole answer is kept up to here to find its usage; no provider's comes near it. */
const wholeBytesMax = 64 * 1024 * 1024

const nothing = Buffer.alloc(0)

/**
 * @param withholdsUsage take the usage out again that the gateway itself asked for. Not possible where the
 *   upstream compressed its answer in spite of us: then the client gets that chunk too.
 */
export function openAnswerMeter(
  endpoint: Endpoint,
  headers: AnswerHeaders,
  withholdsUsage: boolean,
): AnswerMeter {
  const encoding = headers['content-encoding']
  const isStream = isEventStream(headers['content-type'])
  if (typeof encoding === 'string' && encoding !== '' && encoding !== 'identity') {
    return openDecoded(openReader(endpoint, isStream, false), encoding, isStream)
  }
  const reader = openReader(endpoint, isStream, withholdsUsage)
  return { isStream, takesEvents: isStream, ...reader, whenRead: (done) => done(), close: () => {} }
}

type Reader = Pick<AnswerMeter, 'push' | 'end' | 'figures' | 'isComplete'>

function openReader(endpoint: Endpoint, isStream: boolean, withholdsUsage: boolean): Reader {
  return isStream ? readStream(endpoint.openStream({ withholdsUsage })) : readWhole(endpoint)
}

function isEventStream(type: string | string[] | undefined): boolean {
  return typeof type === 'string' && type.startsWith('text/event-stream')
}

function readStream(meter: StreamMeter): Reader {
  return {
    push: meter.push,
    end: meter.end,
    isComplete: meter.isComplete,
    figures: () => ({
      usage: meter.usage(),
      isComplete: meter.isComplete(),
      outputEstimate: meter.outputEstimate(),
    }),
  }
}

function readWhole(endpoint: Endpoint): Reader {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    push(chunk) {
      bytes += chunk.length
      if (bytes <= wholeBytesMax) chunks.push(chunk)
      return chunk
    },
    end: () => nothing,
    isComplete: () => false,
    figures() {
      if (bytes === 0) return noFigures
      const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
      const usage = endpoint.readUsage(body)
      return {
        usage,
        isComplete: usage !== undefined,
        outputEstimate: usage ? 0 : endpoint.estimateOutput(body),
      }
    },
  }
}

/** Reads a decoded copy; the client's bytes stay as they came. */
function openDecoded(reader: Reader, encoding: string, isStream: boolean): AnswerMeter {
  const decoder = openDecoder(encoding, (chunk) => reader.push(chunk))
  return {
    isStream,
    takesEvents: false,
    push(chunk) {
      if (decoder) decoder.push(chunk)
      // An encoding nobody knows still passes, and is estimated by its bytes.
      else reader.push(chunk)
      return chunk
    },
    end: () => nothing,
    whenRead: (done) => (decoder ? decoder.end(done) : done()),
    figures: reader.figures,
    // What has passed may not be decoded yet.
    isComplete: () => false,
    close: () => decoder?.destroy(),
  }
}
