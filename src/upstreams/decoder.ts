import type { Transform } from 'node:stream'
import { type Coding, createDecompressor, toCoding } from '#lib/content-coding.ts'

/**
 * Decodes a copy of an answer that an upstream compressed although it was asked not to, so that its usage can be
 * read; the client gets the bytes as they came. Decoded bytes are bounded: what lies beyond is not read.
 */
export interface Decoder {
  readonly push: (chunk: Buffer) => void
  /** Tells when everything that was pushed has come out, whole or not. */
  readonly end: (whenDone: () => void) => void
  readonly destroy: () => void
}

const decodedBytesMax = 64 * 1024 * 1024
/** Fewer pieces come out of a long answer than by zlib's own 16 KiB. */
const chunkSize = 64 * 1024

interface DecoderOptions {
  /** How much is decoded; more than that only for who keeps little of it. */
  readonly bytesMax?: number
}

/** Undefined where the encoding is none we know; `identity` must not come here. */
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
    // An answer that broke off still gives what came before.
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
