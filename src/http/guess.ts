import type { Decision } from '#core/admission.ts'
import { isBarring } from '#core/admission.ts'
import type { Allowance } from '#lib/allowance.ts'
import type { Door } from './door.ts'
import type { Place } from './places.ts'

/** A credential that is being looked up. The first end that is called counts; later calls change nothing. */
export interface Guess {
  /** Other requests may wait for it: look it up before anything slow. */
  readonly isAwaited: boolean
  /** How long to wait where the rate for comparing credentials that can be guessed is used up at this place. */
  readonly rationedMs: () => number | undefined
  /** It is known; the request's end is reported by a later call. */
  readonly found: () => void
  /** Its request was admitted. */
  readonly admitted: () => void
  /**
   * It is known, and its request was refused. Returns how long to wait, where the client must get a 429 instead of the
   * reason.
   */
  readonly known: () => number | undefined
  /** It is not known. Returns how long to wait, where the client must get a 429 instead of the reason. */
  readonly wrong: () => number | undefined
  /** It was not looked up. */
  readonly dropped: () => void
}

export interface Tried {
  readonly credential: string
  readonly digest: number
  readonly isUnguessable: boolean
}

export interface TakenUp extends Tried {
  readonly key: string
  /** Absent where the place has no state. */
  readonly place?: Place
  readonly doors: readonly Door[]
  /** How long the place was still blocked when the guess began. */
  readonly waitMs?: number
  readonly rations?: readonly Allowance[]
  readonly isHeld?: boolean
}

/** What the throttle does when a guess ends. */
export interface GuessEnds {
  readonly release: (taken: TakenUp, isInVain: boolean) => void
  readonly tidy: (place: Place) => void
  readonly go: (place: Place) => void
  readonly remember: (digest: number) => void
  readonly rationedMs: (doors: readonly Door[]) => number | undefined
  readonly admitted: (taken: TakenUp) => void
  readonly wrong: (taken: TakenUp) => number | undefined
}

/** An object of a class, since every request makes one: a function for each of its ends would cost a microsecond. */
export class TakenGuess implements Guess {
  readonly isAwaited: boolean
  readonly #taken: TakenUp
  readonly #ends: GuessEnds
  #isOver = false
  #isReleased = false

  constructor(taken: TakenUp, ends: GuessEnds) {
    const { place, rations, isHeld = false, isUnguessable } = taken
    const isRationed = rations !== undefined && rations.length > 0
    this.isAwaited = (isHeld && !isUnguessable) || (isRationed && place !== undefined && place.waiting > 0)
    this.#taken = taken
    this.#ends = ends
  }

  rationedMs(): number | undefined {
    return this.#ends.rationedMs(this.#taken.doors)
  }

  found(): void {
    const { place, digest } = this.#taken
    this.#ends.remember(digest)
    this.#release(true)
    if (place) this.#ends.go(place)
  }

  admitted(): void {
    if (!this.#begin(true)) return
    this.#ends.admitted(this.#taken)
    this.#finish()
  }

  known(): number | undefined {
    if (!this.#begin(true)) return undefined
    const { digest, waitMs = 0 } = this.#taken
    this.#ends.remember(digest)
    this.#finish()
    return waitMs > 0 ? waitMs : undefined
  }

  wrong(): number | undefined {
    if (!this.#begin(false)) return undefined
    const waitMs = this.#ends.wrong(this.#taken)
    this.#finish()
    return waitMs
  }

  dropped(): void {
    if (this.#begin(true)) this.#finish()
  }

  #release(isInVain: boolean): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#ends.release(this.#taken, isInVain)
  }

  #begin(isInVain: boolean): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#release(isInVain)
    return true
  }

  #finish(): void {
    const { place } = this.#taken
    if (place) this.#ends.tidy(place)
  }
}

/**
 * Ends a guess by the decision about its request. Returns how long to wait where the client must get a 429 instead of
 * the reason: from a blocked place only an admitted request gets another answer.
 */
export function endGuess(guess: Guess, decision: Decision): number | undefined {
  if (decision.kind === 'admitted') {
    guess.admitted()
    return undefined
  }
  if (decision.code === 'unknown_access_token') return guess.wrong()
  const waitMs = guess.known()
  return isBarring(decision.code) ? waitMs : undefined
}
