import type { Clock } from '#core/clock.ts'
import { type Door, waitMsOf } from './door.ts'
import type { Place, Places } from './places.ts'

/** Other instances, which keep the same throttle together. */
export interface ThrottlePeers {
  readonly tell: (words: string) => void
  readonly hear: (said: (words: string) => void) => void
}

const keyLengthMax = 64

/** The wrong credentials of each place, counted here and by the other instances. */
export class WrongCredentials {
  readonly #clock: Clock
  readonly #places: Places
  readonly #peers: ThrottlePeers | undefined

  constructor(clock: Clock, places: Places, peers: ThrottlePeers | undefined) {
    this.#clock = clock
    this.#places = places
    this.#peers = peers
    peers?.hear((words) => this.#hear(words))
  }

  /**
   * Returns how long to wait where the place is blocked. A guess from there does not count, since the guesser learned
   * nothing; it is not stored either, so that it counts when it comes again.
   */
  fail(key: string, digest: number, mayBeBehind: boolean): number | undefined {
    const place = this.#places.open(key)
    const doors = this.#places.doorsOf(place)
    const waitMs = mayBeBehind ? waitMsOf(doors, this.#clock()) : 0
    if (waitMs > 0) {
      if (this.#places.addRationed(place, digest)) for (const door of doors) door.ration(this.#clock())
      return waitMs
    }
    if (this.#count(place, doors, digest)) this.#peers?.tell(`wrong ${key} ${digest}`)
    return undefined
  }

  /** A credential that was counted as wrong is known by now: it alone is taken off the count. */
  excuse(place: Place, digest: number): void {
    if (this.#takeBack(place, digest)) this.#peers?.tell(`right ${place.key} ${digest}`)
  }

  /** Counts a wrong credential, unless it was counted before. */
  #count(place: Place, doors: readonly Door[], digest: number): boolean {
    if (place.wrong.has(digest)) return false
    this.#places.addWrong(place, digest)
    for (const door of doors) door.fail(this.#clock())
    return true
  }

  #takeBack(place: Place, digest: number): boolean {
    if (!place.wrong.delete(digest)) return false
    for (const door of this.#places.doorsOf(place)) door.takeBack(this.#clock())
    return true
  }

  #hear(words: string): void {
    const [what, key = '', text = ''] = words.split(' ', 3)
    const digest = Number(text)
    if (key === '' || key.length > keyLengthMax || !Number.isSafeInteger(digest)) return
    if (what === 'wrong') {
      const place = this.#places.open(key)
      this.#count(place, this.#places.doorsOf(place), digest)
    }
    const place = what === 'right' ? this.#places.find(key) : undefined
    if (place && this.#takeBack(place, digest)) this.#places.tidy(place)
  }
}
