import type { Transform } from 'node:stream'
import { type Coding, codings, createDecompressor } from '#lib/content-coding.ts'
import { createGathering, type MayHold } from '#lib/gathering.ts'
import { type Read, read } from '#lib/reading.ts'
import type { BodyBudget } from './body.ts'

/**
 * Bodies that a client has compressed (RFC 9110, 8.4). The bound is on the decoded size: decoding ends at the first
 * byte beyond it. It runs in the threads of zlib, a few bodies at a time, since each decoder may take the memory of its
 * window, and the decoded bytes count in the memory of all bodies.
 */
export type CodedReading =
  | Read<Buffer>
  | { readonly kind: 'too_large' }
  | { readonly kind: 'overloaded' }
  /** It is not in the coding of its header, or not complete. */
  | { readonly kind: 'broken' }

/** For `Accept-Encoding` of a refusal (RFC 9110, 12.5.3). */
export const codingsText = codings.join(', ')

export interface BodyDecoder {
  readonly decode: (body: Buffer, coding: Coding, bytesMax: number) => Promise<CodedReading>
}

/** Bodies decoded at once: half of libuv's threads, which other work needs as well. */
const decodersMax = 2
const decoding = {
  chunkSize: 64 * 1024,
  // RFC 9659: a decoder of `Content-Encoding: zstd` need not have a larger window than 8 MB.
  zstdWindowLogMax: 23,
}

/** The body's coding; `other` where it is not supported, or where the body was coded twice. */
export function codingOf(header: string | undefined): Coding | 'identity' | 'other' {
  if (header === undefined) return 'identity'
  const names = header
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  const [name, ...more] = names
  if (name === undefined) return 'identity'
  if (more.length > 0) return 'other'
  return codings.find((coding) => coding === name || `x-${coding}` === name) ?? 'other'
}

export function createBodyDecoder(budget: BodyBudget | undefined): BodyDecoder {
  const mayHold = budget?.mayHold ?? (() => true)
  const waiting: (() => void)[] = []
  let running = 0

  async function enter(): Promise<void> {
    if (running < decodersMax) running += 1
    // A decoder that ends gives its place to the next one.
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }

  function leave(): void {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  return {
    async decode(body, coding, bytesMax) {
      if (body.length === 0) return read(body)
      await enter()
      try {
        return await decode(createDecompressor(coding, body, decoding), body, bytesMax, mayHold)
      } finally {
        leave()
      }
    },
  }
}

function decode(decoder: Transform, body: Buffer, bytesMax: number, mayHold: MayHold): Promise<CodedReading> {
  return new Promise((resolve) => {
    const gathering = createGathering(bytesMax, mayHold)
    let bytes = 0
    const finish = (reading: CodedReading | Promise<CodedReading>) => {
      gathering.leave()
      decoder.destroy()
      resolve(reading)
    }
    decoder.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > bytesMax) finish({ kind: 'too_large' })
      else if (!gathering.add(chunk)) finish({ kind: 'overloaded' })
    })
    decoder.on('end', () => finish(gathering.whole().then(read)))
    decoder.on('error', () => finish({ kind: 'broken' }))
    decoder.end(body)
  })
}
