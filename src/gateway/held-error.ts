import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { type OperatorRefusal, operatorRefusalIn, withoutOperatorNames } from '#providers/operator-refusal.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'

/** No provider's error is so long; a longer one is none that speaks of an account, and passes as it comes. */
const heldBytesMax = 64 * 1024

/**
 * An upstream's error, held back until it is whole: only its words tell whether it speaks of the user's request, and is
 * the user's to read, or of the operator's account.
 */
export class HeldError {
  readonly status: number
  readonly #headers: AnswerHeaders
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(status: number, headers: AnswerHeaders) {
    this.status = status
    this.#headers = headers
  }

  /** False where it has become too long to be held. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    return this.#bytes <= heldBytesMax
  }

  /** As it came so far. */
  passed(): HeldAnswer {
    return { headers: this.#headers, body: Buffer.concat(this.#chunks) }
  }

  /** What it says when it is whole; `answer` is what a user may read of it. */
  judge(): { readonly refusal: OperatorRefusal | undefined; readonly answer: HeldAnswer } {
    const answer = this.passed()
    const encoding = this.#headers['content-encoding']
    const decoded = decode(answer.body, typeof encoding === 'string' ? encoding : '')
    if (!decoded) return { refusal: undefined, answer }
    const text = decoded.toString()
    const shown = withoutOperatorNames(text)
    const refusal = operatorRefusalIn(text)
    if (shown === text) return { refusal, answer }
    const body = Buffer.from(shown)
    const { 'content-encoding': _, ...headers } = this.#headers
    return { refusal, answer: { headers: { ...headers, 'content-length': String(body.length) }, body } }
  }
}

export interface HeldAnswer {
  readonly headers: AnswerHeaders
  readonly body: Buffer
}

const decoders: Readonly<Record<string, (body: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
}

/** So small that it may be decoded at once. Undefined where it cannot be read. */
function decode(body: Buffer, encoding: string): Buffer | undefined {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return body
  try {
    return decoders[name]?.(body, { maxOutputLength: heldBytesMax })
  } catch {
    return undefined
  }
}
