import { Allowance } from '#lib/allowance.ts'

/**
 * The throttle of one place. Some wrong credentials are free, then each blocks the place (closes the door) for 1 s, 2
 * s, 4 s … at most 5 min. With time they are taken off the count one by one, from when the place is open again.
 */
export interface DoorRule {
  /** How many wrong credentials are free. */
  readonly free: number
  readonly forgivenEveryMs: number
  /** The rate limit for look-ups of credentials that were never right: at once, and a second. */
  readonly lookUps: number
}

/** An IPv4 address, or an IPv6 /64. */
export const nearRule: DoorRule = { free: 10, forgivenEveryMs: 60_000, lookUps: 500 }
/**
 * An IPv6 /48: a guesser who has one has 65,536 networks of the size /64. Other clients may be in it too, so it has
 * more free guesses.
 */
export const wideRule: DoorRule = { free: 50, forgivenEveryMs: 12_000, lookUps: 2_000 }

const delayMsMin = 1_000
const delayMsMax = 300_000
const doublings = Math.ceil(Math.log2(delayMsMax / delayMsMin))

/**
 * How often a credential that might be guessed is compared from a blocked place: a burst, then one in 5 s. So an
 * operator's short ADMIN_KEY is accepted while another client at the address guesses, and 17,000 guesses a day find a
 * key of 16 characters only where it was a common one.
 */
const rations = 256
const rationsPerSecond = 0.2

export class Door {
  readonly #rule: DoorRule
  #failures = 0
  /** From when failures are taken off the count: the last failure, or the end of the delay that it caused. */
  #openAt = 0
  /**
   * Guesses under way, each of which may turn out wrong: of credentials that can be guessed, and of those that cannot.
   */
  #guesses = 0
  #others = 0
  readonly lookUps: Allowance
  readonly #rations: Allowance

  constructor(rule: DoorRule, now: number) {
    this.#rule = rule
    this.lookUps = new Allowance(rule.lookUps, rule.lookUps, performance.now())
    this.#rations = new Allowance(rations, rationsPerSecond, now)
  }

  /** How long the place stays blocked, in milliseconds; 0 where it is open. */
  waitMs(now: number): number {
    return Math.max(0, Math.ceil(this.#openAt - now))
  }

  enter(isUnguessable: boolean): void {
    if (isUnguessable) this.#others += 1
    else this.#guesses += 1
  }

  leave(isUnguessable: boolean): void {
    if (isUnguessable) this.#others -= 1
    else this.#guesses -= 1
  }

  /** Whether one more guess may be under way: even if all of them are wrong, the bound is not passed. */
  hasRoom(now: number): boolean {
    return this.#guesses < Math.max(1, this.#rule.free + 1 - this.#failuresAt(now))
  }

  /**
   * Whether a credential that can be guessed may be compared although the place is blocked: the rate for that is not
   * used up.
   */
  hasRations(now: number): boolean {
    return this.#rations.left(now) > this.#guesses + this.#others
  }

  /** One was compared while the place was blocked. */
  ration(now: number): void {
    this.#rations.take(now)
  }

  fail(now: number): void {
    // Counting beyond the longest delay would only make the place wait longer until failures are taken off.
    this.#failures = Math.min(this.#rule.free + 1 + doublings, this.#failuresAt(now) + 1)
    this.#openAt = now + this.#delayMs()
  }

  /** One failure turned out to be a success. */
  takeBack(now: number): void {
    this.#failures = Math.max(0, this.#failuresAt(now) - 1)
    if (this.#failures <= this.#rule.free) this.#openAt = Math.min(this.#openAt, now)
  }

  isBlank(now: number): boolean {
    return this.#guesses + this.#others === 0 && this.#failuresAt(now) === 0
  }

  #failuresAt(now: number): number {
    const forgiven = Math.max(0, Math.floor((now - this.#openAt) / this.#rule.forgivenEveryMs))
    return Math.max(0, this.#failures - forgiven)
  }

  #delayMs(): number {
    const { free } = this.#rule
    if (this.#failures <= free) return 0
    return Math.min(delayMsMax, delayMsMin * 2 ** (this.#failures - free - 1))
  }
}

/** How long the longest of these doors stays closed; 0 where all are open. */
export function waitMsOf(doors: readonly Door[], now: number): number {
  return doors.reduce((longest, door) => Math.max(longest, door.waitMs(now)), 0)
}
