/**
 * A rate limit: a burst at once, and a number a second in the long run. What was taken and not used can be given back.
 */
export class Allowance {
  readonly #most: number
  readonly #perMs: number
  #left: number
  #at: number

  /** @param now milliseconds of any clock that only goes forward, the same one each time */
  constructor(most: number, perSecond: number, now: number) {
    this.#most = most
    this.#perMs = perSecond / 1000
    this.#left = most
    this.#at = now
  }

  /** Below zero where more was taken than was left. */
  left(now: number): number {
    this.#left = Math.min(this.#most, this.#left + Math.max(0, now - this.#at) * this.#perMs)
    this.#at = now
    return this.#left
  }

  take(now: number): void {
    this.#left = this.left(now) - 1
  }

  giveBack(): void {
    this.#left = Math.min(this.#most, this.#left + 1)
  }
}
