import type { Transform } from 'node:stream'
import { type Coding, createDecompressor, toCoding } from '#lib/content-coding.ts'

/**
 * Decodes a copy of an answer that an upstream compressed although it was asked not to, so that its usage can be read;
 * the client gets the bytes as they came. The decoded size is bounded; bytes beyond it are not read.
 */
export interface Decoder {
  readonly push: (chunk: Buffer) => void
  /** Calls back when all pushed bytes are decoded, also where the data broke off. */
  readonly end: (whenDone: () => void) => void
  readonly destroy: () => void
}

const decodedBytesMax = 64 * 1024 * 1024
/** Larger than zlib's own 16 KiB, so that a long answer comes in fewer pieces. */
const chunkSize = 64 * 1024

interface DecoderOptions {
  /** The most bytes that are decoded; a caller that keeps few of them may allow more. */
  readonly bytesMax?: number
}

/** Undefined for an unknown encoding; `identity` must not be passed. */
export function openDecoder(
  encoding: string,
  onData: (chunk: Buffer) => void,
  { bytesMax = decodedBytesMax }: DecoderOptions = {},
): Decoder | undefined {
  const coding = toCoding(encoding.trim().toLowerCase())
  if (!coding) return undefined
  let stream: Transform | undefined
  let decodedBytes = 0
  let isOver = false
  let whenDone: (() => void) | undefined

  function finish(): void {
    isOver = true
    const done = whenDone
    whenDone = undefined
    stream?.destroy()
    done?.()
  }
  function start(first: Buffer, by: Coding): Transform {
    // An answer that broke off still gives its decoded beginning.
    const opened = createDecompressor(by, first, { takesPart: true, chunkSize })
    opened.on('data', (chunk: Buffer) => {
      decodedBytes += chunk.length
      if (decodedBytes > bytesMax) finish()
      else onData(chunk)
    })
    // Broken data ends the copy; what was decoded before still counts.
    opened.on('error', finish)
    opened.on('end', finish)
    return opened
  }
  return {
    push(chunk) {
      if (isOver || chunk.length === 0) return
      stream ??= start(chunk, coding)
      stream.write(chunk)
    },
    end(done) {
      if (isOver || !stream) return done()
      whenDone = done
      stream.end()
    },
    destroy: finish,
  }
}
