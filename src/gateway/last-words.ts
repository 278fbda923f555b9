import type { AnswerReader } from './answer-reader.ts'
import type { Delivery } from './delivery.ts'

/** How long the relay waits for a stream's end after its last event, before it settles without the end. */
const lastWordsMs = 20

/**
 * Holds a stream's last event until it is booked: when the upstream has ended as well, or a moment later if it stays
 * connected. If more may come that changes the figures (usage of another answer), only the upstream's end counts.
 */
export class LastWords {
  readonly #delivery: Delivery
  readonly #waitMs: number
  #timer: NodeJS.Timeout | undefined
  /**
   * What is sent. `open`: all bytes. `held`: nothing, since the last event may have come. `let go`: all bytes again,
   * after the wait for the stream's end ran out.
   */
  #flow: 'open' | 'held' | 'let go' = 'open'

  /** @param waitMs the longest that the last event waits for its settlement */
  constructor(delivery: Delivery, waitMs: number) {
    this.#delivery = delivery
    this.#waitMs = waitMs
  }

  /**
   * To be called when the figures are final if nothing more comes, so that this may be the last event.
   *
   * @param settle books the answer as complete
   */
  mayBe(reader: AnswerReader, settle: () => Promise<unknown>): void {
    if (this.#flow === 'held' || (this.#flow === 'let go' && !reader.isOver())) return
    this.#flow = 'held'
    this.#delivery.hold()
    this.#timer = setTimeout(() => {
      const letGo = () => {
        if (this.#timer !== undefined) this.#goOn('let go')
      }
      if (!reader.isOver()) return letGo()
      this.#timer = setTimeout(letGo, this.#waitMs)
      settle().then(letGo, letGo)
    }, lastWordsMs)
  }

  /** More came after what might have been the last event. */
  wereNot(): void {
    if (this.#flow !== 'open') this.#goOn('open')
  }

  /** The relay is over. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #goOn(flow: 'open' | 'let go'): void {
    this.close()
    this.#flow = flow
    this.#delivery.letGo()
  }
}
