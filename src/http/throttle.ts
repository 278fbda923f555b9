import { hash, randomBytes } from 'node:crypto'
import type { Decision } from '#core/admission.ts'
import { isBarring } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { placeOf } from '#core/network.ts'
import { Allowance } from '#lib/allowance.ts'
import { createSecretMemo } from '#lib/secret-memo.ts'
import type { Door } from './door.ts'
import { createPlaces, type Place } from './places.ts'
import { createTurns } from './turns.ts'

/**
 * Wrong credentials, throttled by place: an IPv4 address, or an IPv6 /64 and the /48 around it (the rule of each is in
 * door.ts). A credential counts as a guess before its body is read and before it is looked up, so that parallel guesses
 * gain nothing. It is taken off the count where it turns out to be known.
 *
 * Distinct wrong credentials count, repeats of one do not: programs repeat a 401 by themselves, and a guesser learns
 * nothing by it. A valid credential takes only its own guess off the count, since a guesser may have one, too.
 *
 * From a blocked place (a closed door) only credentials that cannot be guessed are looked up: access tokens made by
 * Tollgate, by their checksum, and admin keys. So valid ones always get in, and a refused one gets the same 429 as
 * every other request from there. Look-ups of credentials that were never right have a rate limit, for each place and
 * in all. Credentials are told apart by 52 bits of a keyed hash; wrong ones are not stored.
 */
export interface Throttle {
  /**
   * Counts a credential from an address as a guess. It resolves later where guesses under way have to end first.
   *
   * @param isUnguessable whether credentials of its kind cannot be found by guessing, so that they may be looked up
   * from a blocked place
   */
  readonly take: (
    address: string,
    credential: string,
    isUnguessable: (credential: string) => boolean,
  ) => Taken | Promise<Taken>
}

export type Taken = { readonly kind: 'taken'; readonly guess: Guess } | Closed
interface Closed {
  readonly kind: 'closed'
  readonly waitMs: number
}

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

/** Other instances, which keep the same throttle together. */
interface ThrottlePeers {
  readonly tell: (words: string) => void
  readonly hear: (said: (words: string) => void) => void
}

export interface ThrottleOptions {
  readonly placesMax?: number
  /**
   * Other instances that count the same guesses, each by its own clock: spreading guesses over instances gains nothing.
   */
  readonly peers?: ThrottlePeers
  /** Key of the hash by which credentials are told apart; the same on all instances. */
  readonly key?: string
}

/** Cache of credentials that were known lately; they are not counted while they are under way. */
const knownMax = 50_000
/** Rate limit for look-ups from all blocked places together: at once, and a second. */
const lookUpsMax = 2_000
/** The wait that is told to a request that did not get its turn. */
const crowdedMs = 1_000
const keyLengthMax = 64

/** @param clock milliseconds of a monotonic clock */
export function createThrottle(clock: Clock, options: ThrottleOptions = {}): Throttle {
  const { placesMax = 10_000, peers, key: secret = randomBytes(24).toString('base64url') } = options
  const places = createPlaces(clock, placesMax)
  const known = new Set<number>()
  const lookUps = new Allowance(lookUpsMax, lookUpsMax, performance.now())
  const turns = createTurns<Taken>({ kind: 'closed', waitMs: crowdedMs })

  /** As a number, which takes less room than a text. */
  const digests = createSecretMemo((credential) =>
    Number.parseInt(hash('sha256', secret + credential, 'hex').slice(0, 13), 16),
  )

  function take(
    address: string,
    credential: string,
    isUnguessable: (credential: string) => boolean,
  ): Taken | Promise<Taken> {
    const digest = digests.of(credential)
    const key = placeOf(address)
    // The fast path of nearly every request: its kind need not be checked.
    if (known.has(digest) && !places.find(key) && !places.hasWider(key))
      return {
        kind: 'taken',
        guess: takeUp({ key, credential, digest, isUnguessable: true, doors: noDoors }),
      }
    const place = places.open(key)
    const kind = isUnguessable(credential)
    const attempt = () => tryTaking(place, { credential, digest, isUnguessable: kind })
    const taken = attempt()
    if (taken) return tidied(place, taken)
    place.waiting += 1
    return turns.wait(place, kind, attempt).then((answer) => {
      place.waiting -= 1
      return tidied(place, answer)
    })
  }

  function tidied(place: Place, taken: Taken): Taken {
    if (taken.kind === 'closed') places.tidy(place)
    return taken
  }

  /** Undefined where other guesses have to end first. */
  function tryTaking(place: Place, tried: Tried): Taken | undefined {
    const { digest, isUnguessable } = tried
    const now = clock()
    const { key } = place
    const doors = places.doorsOf(place)
    const waitMs = waitMsOf(doors, now)
    if (waitMs > 0 && !isUnguessable) return { kind: 'closed', waitMs }
    if (known.has(digest)) return { kind: 'taken', guess: takeUp({ ...tried, key, place, doors, waitMs }) }
    const isRepeat = place.wrong.has(digest)
    const isHeld = !isRepeat
    if (isHeld && !isUnguessable && !place.held.has(digest) && !doors.every((door) => door.hasRoom(now)))
      return undefined
    const rations = doors.map((door) => door.lookUps)
    if (waitMs > 0 || isRepeat) rations.push(lookUps)
    const at = performance.now()
    if (rations.some((ration) => ration.left(at) < 1)) return undefined
    for (const ration of rations) ration.take(at)
    if (isHeld) hold(place, digest, isUnguessable, doors)
    const guess = takeUp({ ...tried, key, place, doors, waitMs, rations, isHeld })
    return { kind: 'taken', guess }
  }

  function hold({ held }: Place, digest: number, isUnguessable: boolean, doors: readonly Door[]): void {
    const times = held.get(digest) ?? 0
    held.set(digest, times + 1)
    if (times === 0) for (const door of doors) door.enter(isUnguessable)
  }

  function letGo({ held }: Place, digest: number, isUnguessable: boolean, doors: readonly Door[]): void {
    const times = held.get(digest) ?? 0
    if (times > 1) held.set(digest, times - 1)
    else if (held.delete(digest)) for (const door of doors) door.leave(isUnguessable)
  }

  function takeUp(taken: TakenUp): Guess {
    return new TakenGuess(taken, ends)
  }

  function remember(digest: number): void {
    if (known.has(digest)) return
    const [oldest] = known
    if (known.size >= knownMax && oldest !== undefined) known.delete(oldest)
    known.add(digest)
  }

  /**
   * Returns how long to wait where the place is blocked. A guess from there does not count, since the guesser learned
   * nothing; it is not stored either, so that it counts when it comes again.
   */
  function fail(key: string, digest: number, mayBeBehind: boolean): number | undefined {
    const place = places.open(key)
    const doors = places.doorsOf(place)
    const waitMs = mayBeBehind ? waitMsOf(doors, clock()) : 0
    if (waitMs > 0) {
      if (places.addRationed(place, digest)) for (const door of doors) door.ration(clock())
      return waitMs
    }
    if (count(place, digest)) peers?.tell(`wrong ${key} ${digest}`)
    return undefined
  }

  /** Counts a wrong credential, unless it was counted before. */
  function count(place: Place, digest: number): boolean {
    if (place.wrong.has(digest)) return false
    places.addWrong(place, digest)
    for (const door of places.doorsOf(place)) door.fail(clock())
    return true
  }

  /** A credential that was counted as wrong is known by now: it alone is taken off the count. */
  function excuse(place: Place, digest: number): boolean {
    if (!place.wrong.delete(digest)) return false
    for (const door of places.doorsOf(place)) door.takeBack(clock())
    return true
  }

  const ends: GuessEnds = {
    release({ place, digest, isUnguessable, doors, rations, isHeld }, isInVain) {
      if (place && isHeld) letGo(place, digest, isUnguessable, doors)
      if (isInVain && rations) for (const ration of rations) ration.giveBack()
    },
    tidy(place) {
      places.tidy(place)
      turns.go(place)
    },
    go: turns.go,
    remember,
    rationedMs(doors) {
      const now = clock()
      if (doors.every((door) => door.hasRations(now))) return undefined
      return Math.max(crowdedMs, waitMsOf(doors, now))
    },
    admitted({ key, place, credential, digest }) {
      remember(digest)
      digests.keep(credential, digest)
      if (place?.wrong.has(digest) && excuse(place, digest)) peers?.tell(`right ${key} ${digest}`)
    },
    wrong({ key, digest, isUnguessable, waitMs = 0 }) {
      known.delete(digest)
      return fail(key, digest, waitMs > 0 || isUnguessable)
    },
  }

  peers?.hear((words) => {
    const [what, key = '', text = ''] = words.split(' ', 3)
    const digest = Number(text)
    if (key === '' || key.length > keyLengthMax || !Number.isSafeInteger(digest)) return
    if (what === 'wrong') count(places.open(key), digest)
    const place = what === 'right' ? places.find(key) : undefined
    if (place && excuse(place, digest)) places.tidy(place)
  })

  return { take }
}

interface Tried {
  readonly credential: string
  readonly digest: number
  readonly isUnguessable: boolean
}

interface TakenUp extends Tried {
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
interface GuessEnds {
  readonly release: (taken: TakenUp, isInVain: boolean) => void
  readonly tidy: (place: Place) => void
  readonly go: (place: Place) => void
  readonly remember: (digest: number) => void
  readonly rationedMs: (doors: readonly Door[]) => number | undefined
  readonly admitted: (taken: TakenUp) => void
  readonly wrong: (taken: TakenUp) => number | undefined
}

/** An object of a class, since every request makes one: a function for each of its ends would cost a microsecond. */
class TakenGuess implements Guess {
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

const noDoors: readonly Door[] = []

function waitMsOf(doors: readonly Door[], now: number): number {
  return doors.reduce((longest, door) => Math.max(longest, door.waitMs(now)), 0)
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
