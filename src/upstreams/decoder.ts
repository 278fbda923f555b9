import type { Transform } from 'node:stream'
import { type Coding, createDecompressor, toCoding } from '#lib/content-coding.ts'

/**
 * Decodes an answer that an upstream compressed although it was asked not to, chunk by chunk and on another thread, so
 * that each chunk can be read before it is sent on. The decoded size is bounded; bytes beyond it are not read.
 */
export interface Decoder {
  /** Calls back when all that this chunk holds was given to `onData`. */
  readonly push: (chunk: Buffer, whenRead?: () => void) => void
  /** Calls back when all pushed bytes are decoded, also where the data broke off. */
  readonly end: (whenDone: () => void) => void
  /** Set if the bytes are not of that coding. What was decoded before still counts. */
  readonly failure: () => Error | undefined
  /** Gives no more to `onData` until `resume`; what is decoded meanwhile is bounded. */
  readonly pause: () => void
  readonly resume: () => void
  /** Ends it without a further call back of `onData`. */
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
  let isPaused = false
  let failure: Error | undefined
  const readers = createReaders({
    areHeld: () => isOver || isPaused,
    // What came of a chunk may still wait in the stream when the chunk is decoded.
    isLeft: () => stream !== undefined && stream.readableLength > 0,
  })

  function finish(error?: Error): void {
    if (isOver) return
    isOver = true
    failure = error
    stream?.destroy()
    readers.tellAll()
  }
  function start(first: Buffer, by: Coding): Transform {
    // An answer that broke off still gives its decoded beginning.
    const opened = createDecompressor(by, first, { takesPart: true, chunkSize })
    opened.on('data', take)
    opened.on('error', finish)
    opened.on('end', () => finish())
    if (isPaused) opened.pause()
    return opened
  }
  function take(chunk: Buffer): void {
    if (isOver) return
    decodedBytes += chunk.length
    if (decodedBytes > bytesMax) finish()
    else onData(chunk)
  }
  return {
    push(chunk, whenRead) {
      if (isOver || chunk.length === 0) return whenRead?.()
      stream ??= start(chunk, coding)
      const done = () => whenRead?.()
      readers.add(done)
      stream.write(chunk, () => readers.decoded(done))
    },
    end(done) {
      if (isOver || !stream) return done()
      readers.add(done)
      stream.end()
    },
    failure: () => failure,
    pause() {
      isPaused = true
      stream?.pause()
    },
    resume() {
      if (!isPaused) return
      isPaused = false
      stream?.resume()
      readers.tell()
    },
    destroy: () => finish(),
  }
}

/** The call backs that wait until all that a chunk holds is read, in order. */
function createReaders({
  areHeld,
  isLeft,
}: {
  readonly areHeld: () => boolean
  /** Whether some of what is decoded is not read yet. */
  readonly isLeft: () => boolean
}) {
  const waiting = new Set<() => void>()
  /** Those of decoded chunks. */
  const decoded = new Set<() => void>()

  function tell(): void {
    if (areHeld() || decoded.size === 0) return
    if (isLeft()) {
      setImmediate(tell)
      return
    }
    for (const done of decoded) {
      waiting.delete(done)
      decoded.delete(done)
      done()
    }
  }

  return {
    add: (done: () => void) => void waiting.add(done),
    decoded(done: () => void): void {
      decoded.add(done)
      tell()
    },
    /** Calls back for each chunk that is read. */
    tell,
    tellAll(): void {
      for (const done of waiting) done()
    },
  }
}
