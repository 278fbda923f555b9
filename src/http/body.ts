import type { IncomingMessage } from 'node:http'
import { createGathering, type Gathering, type MayHold } from '#lib/gathering.ts'
import { type Read, read } from '#lib/reading.ts'

export type BodyReading =
  | Read<Buffer>
  /** In this case and the next two reading has stopped; the rest is not read, so the connection cannot be reused. */
  | { readonly kind: 'too_large' }
  /** `isFine` refused a byte. */
  | { readonly kind: 'refused' }
  /** The bodies that are being read use all the memory that they may use together. */
  | { readonly kind: 'overloaded' }
  /** The client hung up before it had sent the whole body. */
  | { readonly kind: 'gone' }

/** The memory of all bodies that are being read, beyond the first 64 KiB of each. */
export interface BodyBudget {
  readonly mayHold: MayHold
  /** Bytes that are held now. */
  readonly held: () => number
}

export interface BodyBounds {
  readonly budget?: BodyBudget | undefined
  /** Checks each piece as it comes; false ends the reading. */
  readonly isFine?: (piece: Buffer) => boolean
}

export function createBodyBudget(bytesMax: number): BodyBudget {
  let held = 0
  return {
    mayHold(bytes) {
      if (bytes > 0 && held + bytes > bytesMax) return false
      held += bytes
      return true
    },
    held: () => held,
  }
}

const unbounded: MayHold = () => true

/**
 * Reads a whole body of at most `bytesMax` bytes. A `content-length` beyond it is refused before a byte is read; a body
 * without a length is refused at the first byte beyond the bound.
 */
export function readBody(
  request: IncomingMessage,
  bytesMax: number,
  { budget, isFine }: BodyBounds = {},
): Promise<BodyReading> {
  const announced = request.headers['content-length']
  if (Number(announced ?? 0) > bytesMax) return Promise.resolve({ kind: 'too_large' })
  if (request.destroyed && !request.readableEnded) return Promise.resolve({ kind: 'gone' })
  return new Promise((resolve) => {
    // Most bodies come in one piece, which is then the body.
    let first: Buffer | undefined
    let gathering: Gathering | undefined
    let bytes = 0
    const keep = (chunk: Buffer): boolean => {
      if (!first) {
        first = chunk
        return true
      }
      if (gathering) return gathering.add(chunk)
      const placeMax = announced === undefined ? bytesMax : Number(announced)
      gathering = createGathering(placeMax, budget?.mayHold ?? unbounded)
      return gathering.add(first) && gathering.add(chunk)
    }
    const finish = (reading: BodyReading | Promise<BodyReading>) => {
      request.off('data', take).off('end', end).off('close', lose)
      gathering?.leave()
      // The error listener stays: a socket may fail later, when the reading is over, and must not end the process.
      resolve(reading)
    }
    const stop = (kind: 'too_large' | 'refused' | 'overloaded') => {
      request.pause()
      finish({ kind })
    }
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > bytesMax) stop('too_large')
      else if (isFine && !isFine(chunk)) stop('refused')
      else if (!keep(chunk)) stop('overloaded')
    }
    const end = () => {
      if (gathering) finish(gathering.whole().then(read))
      else finish(read(first ?? Buffer.alloc(0)))
    }
    const lose = () => finish({ kind: 'gone' })
    request.on('data', take).on('end', end).on('close', lose).on('error', lose)
  })
}
