import { Allowance } from '#lib/allowance.ts'

/**
 * What is let in from one place. Some wrong credentials are free, then each closes the door for 1 s, 2 s, 4 s … at
 * most 5 min. Time forgives them one by one, counted from when the door is open again.
 */
export interface DoorRule {
  /** How many wrong credentials are free. */
  readonly free: number
  readonly forgivenEveryMs: number
  /** Look-ups of credentials that were never right: so many at once, and so many a second. */
  readonly lookUps: number
}

/** An IPv4 address, or an IPv6 /64. */
export const nearRule: DoorRule = { free: 10, forgivenEveryMs: 60_000, lookUps: 500 }
/** An IPv6 /48: a guesser who has one has 65,536 networks of the size /64. Others may live in it, so it bears more. */
export const wideRule: DoorRule = { free: 50, forgivenEveryMs: 12_000, lookUps: 2_000 }

const delayMsMin = 1_000
const delayMsMax = 300_000
const doublings = Math.ceil(Math.log2(delayMsMax / delayMsMin))

/**
 * How often a credential that might be guessed is compared behind a closed door: a burst, then one in 5 s. An
 * operator's own ADMIN_KEY is let in by it while others guess, and 17,000 guesses a day find no key of 16 characters
 * that was not a known one.
 */
const rations = 256
const rationsPerSecond = 0.2

export class Door {
  readonly #rule: DoorRule
  #failures = 0
  /** When failures begin to be forgiven: the last failure, or the end of the delay it brought. */
  #openAt = 0
  /** Guesses under way, each of which may turn out wrong: of what may be guessed, and of what may not. */
  #guesses = 0
  #others = 0
  readonly lookUps: Allowance
  readonly #rations: Allowance

  constructor(rule: DoorRule, now: number) {
    this.#rule = rule
    this.lookUps = new Allowance(rule.lookUps, rule.lookUps, performance.now())
    this.#rations = new Allowance(rations, rationsPerSecond, now)
  }

  /** How long it stays closed, in milliseconds; 0 where it is open. */
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

  /** Whether one more guess may be under way: if all of them are wrong, no more were made than may be. */
  hasRoom(now: number): boolean {
    return this.#guesses < Math.max(1, this.#rule.free + 1 - this.#failuresAt(now))
  }

  /** Whether so few were tried behind the closed door, and are being tried now, that one that may be guessed is let in. */
  hasRations(now: number): boolean {
    return this.#rations.left(now) > this.#guesses + this.#others
  }

  /** One was tried behind the closed door. */
  ration(now: number): void {
    this.#rations.take(now)
  }

  fail(now: number): void {
    // Counting on beyond the longest delay would only make the place wait longer for forgiveness.
    this.#failures = Math.min(this.#rule.free + 1 + doublings, this.#failuresAt(now) + 1)
    this.#openAt = now + this.#delayMs()
  }

  /** One failure was a success after all. */
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
