import { type Decoder, openDecoder } from '#upstreams/decoder.ts'

/** Reads the decoded pieces of an answer, and returns what of them passes now. */
interface PieceReader {
  readonly push: (piece: Buffer) => Buffer
  readonly end: () => Buffer
}

/**
 * An answer that the upstream compressed although it was asked not to. Each chunk is decoded and read before it is sent
 * on, so that an error about the operator's account does not pass, and the figures are known when the last bytes pass.
 *
 * The client gets the upstream's own bytes. If something has to be taken out of them for certain, it gets the decoded
 * ones instead: nothing can be taken out of compressed bytes.
 */
export interface CodedAnswer {
  readonly isSentDecoded: boolean
  /**
   * Decodes a chunk, which comes back in pieces.
   *
   * @param done called after the last piece; the chunk may be sent on as far as `release` says
   */
  readonly push: (chunk: Buffer, take: (piece: Buffer) => void, done: () => void) => void
  /** Calls back when all pieces have come back. */
  readonly end: (done: () => void) => void
  /** The chunks of which everything that they hold has passed the reader. Empty if the decoded bytes are sent. */
  readonly release: () => Buffer
  /** Why no more of it can be sent on: it cannot be decoded, or something had to be taken out of it. */
  readonly failure: () => Error | undefined
  readonly pause: () => void
  readonly resume: () => void
  readonly destroy: () => void
}

interface CodedOptions {
  readonly isSentDecoded: boolean
  /** The most bytes that are decoded; what comes beyond them passes unread. */
  readonly bytesMax: number
}

const nothing = Buffer.alloc(0)

export interface OpenedCoded {
  /** What the decoded pieces are pushed to. */
  readonly pieces: PieceReader
  readonly coded: CodedAnswer
}

/**
 * Stands before the reader of a compressed answer. Undefined if the coding is unknown.
 *
 * @param coding in lower case
 */
export function openCoded(
  coding: string,
  reader: PieceReader,
  { isSentDecoded, bytesMax }: CodedOptions,
): OpenedCoded | undefined {
  let take: (piece: Buffer) => void = () => {}
  const decoder = openDecoder(coding, (piece) => take(piece), { bytesMax })
  if (!decoder) return undefined
  const originals = isSentDecoded ? undefined : keepOriginals(reader)
  return {
    pieces: originals ?? { push: (piece) => reader.push(piece), end: () => reader.end() },
    coded: {
      isSentDecoded,
      push(chunk, takePiece, done) {
        take = takePiece
        originals?.add(chunk)
        decoder.push(chunk, done)
      },
      end: decoder.end,
      release: originals?.release ?? (() => nothing),
      failure: () => failureOf(decoder, originals),
      pause: decoder.pause,
      resume: decoder.resume,
      destroy: decoder.destroy,
    },
  }
}

function failureOf(decoder: Decoder, originals: Originals | undefined): Error | undefined {
  const isChanged = originals?.isChanged() === true
  return isChanged ? new Error('a compressed answer holds what must not pass') : decoder.failure()
}

interface Originals extends PieceReader {
  readonly add: (chunk: Buffer) => void
  readonly release: () => Buffer
  readonly isChanged: () => boolean
}

/** Keeps the upstream's chunks until the reader has let pass all that they hold, unchanged. */
function keepOriginals(reader: PieceReader): Originals {
  let chunks: Buffer[] = []
  /** Decoded bytes that the reader has not let pass. */
  let pending: Buffer[] = []
  let isChanged = false

  function pass(passing: Buffer): void {
    if (passing.length === 0) return
    const all = Buffer.concat(pending)
    const rest = all.subarray(passing.length)
    isChanged ||= !all.subarray(0, passing.length).equals(passing)
    pending = rest.length > 0 ? [rest] : []
  }

  return {
    add(chunk) {
      chunks.push(chunk)
    },
    push(piece) {
      const passing = reader.push(piece)
      if (passing === piece && pending.length === 0) return nothing
      pending.push(piece)
      pass(passing)
      return nothing
    },
    end() {
      pass(reader.end())
      isChanged ||= pending.length > 0
      return nothing
    },
    release() {
      if (isChanged || pending.length > 0 || chunks.length === 0) return nothing
      const [only] = chunks
      const passing = chunks.length === 1 && only ? only : Buffer.concat(chunks)
      chunks = []
      return passing
    },
    isChanged: () => isChanged,
  }
}
