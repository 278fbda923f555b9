import { decompress, toCoding } from '#lib/content-coding.ts'
import { type OperatorRefusal, operatorRefusalIn, withoutOperatorNames } from '#providers/operator-refusal.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'

/** No provider's error is so long; a longer one does not pass, since it could not be looked at. */
const heldBytesMax = 512 * 1024

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

  /** What it says when it is whole; `answer` is what a user may read of it. Undefined where it cannot be read. */
  judge(): { readonly refusal: OperatorRefusal | undefined; readonly answer: HeldAnswer } | undefined {
    const answer = { headers: this.#headers, body: Buffer.concat(this.#chunks) }
    const decoded = decode(answer.body, String(this.#headers['content-encoding'] ?? ''))
    if (!decoded) return undefined
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

/** So small that it may be decoded at once. Undefined where it cannot be read. */
function decode(body: Buffer, encoding: string): Buffer | undefined {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity' || body.length === 0) return body
  const coding = toCoding(name)
  try {
    return coding && decompress(coding, body, heldBytesMax)
  } catch {
    return undefined
  }
}
