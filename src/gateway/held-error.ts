import { codingNameOf, decompress, toCoding } from '#lib/content-coding.ts'
import type { Hide } from '#providers/hidden.ts'
import { type OperatorRefusal, operatorRefusalIn } from '#providers/operator-refusal.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'

/** No provider's error is so long. A longer one is not passed on, since it cannot be checked. */
const heldBytesMax = 512 * 1024

/**
 * An upstream's error, held until it is complete. Only its text tells whether it is about the user's request, and may be
 * passed on, or about the operator's account.
 */
export class HeldError {
  readonly status: number
  readonly #headers: AnswerHeaders
  readonly #hide: Hide
  readonly #chunks: Buffer[] = []
  #bytes = 0

  /** @param hide takes the operator's words out of what a user may see */
  constructor(status: number, headers: AnswerHeaders, hide: Hide) {
    this.status = status
    this.#hide = hide
    this.#headers = headers
  }

  /** False if the error has become too long to be held. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    return this.#bytes <= heldBytesMax
  }

  /** Reads the complete error. `answer` is what a user may see of it. Undefined if it cannot be read. */
  read(): { readonly refusal: OperatorRefusal | undefined; readonly answer: HeldAnswer } | undefined {
    const answer = { headers: this.#headers, body: Buffer.concat(this.#chunks) }
    const decoded = decode(answer.body, codingNameOf(this.#headers['content-encoding']))
    if (!decoded) return undefined
    const text = decoded.toString()
    const shown = this.#hide(text)
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

/** Decodes synchronously, since the body is small. Undefined if it cannot be decoded. */
function decode(body: Buffer, name: string): Buffer | undefined {
  if (name === '' || body.length === 0) return body
  const coding = toCoding(name)
  try {
    return coding && decompress(coding, body, heldBytesMax)
  } catch {
    return undefined
  }
}
