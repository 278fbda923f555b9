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
 * door.ts). A credential is taken up before anything of its request is read or looked up, and counts from then on, so
 * that many at once are no more guesses than one after the other. It is taken back where it turns out to be known.
 *
 * Distinct wrong credentials count, repeats of one do not: programs repeat a 401 by themselves, and a guesser learns
 * nothing by it. A right credential never takes back what others have counted; a guesser may hold one, too.
 *
 * Behind a closed door only what cannot be guessed is looked up (our own access tokens, by their checksum, and admin
 * keys), so that the right ones always get in; one that does not get in is told the same as everyone who waits.
 * Looking up credentials that were never right here is rationed by place and in all. Credentials are told apart by 52
 * bits of a keyed hash; none that is wrong is kept.
 */
export interface Throttle {
  /**
   * Takes up a credential that came from an address. It resolves later where guesses under way have to end first.
   *
   * @param isUnguessable whether no number of guesses finds one of its kind: it may be looked up behind a closed door
   */
  readonly take: (
    address: string,
    credential: string,
    isUnguessable: (credential: string) => boolean,
  ) => Taken | Promise<Taken>
}

type Taken = { readonly kind: 'taken'; readonly guess: Guess } | Closed
interface Closed {
  readonly kind: 'closed'
  readonly waitMs: number
}

/** A credential on its way to be known. One of its ends is said once; what is said later changes nothing. */
export interface Guess {
  /** Others may wait for it: find out whether it is known before anything slow. */
  readonly isAwaited: boolean
  /** How long to wait where too many were tried here for letting in a right one that may be guessed. */
  readonly rationedMs: () => number | undefined
  /** It is known; what becomes of it is said later. */
  readonly found: () => void
  /** It let its holder in. */
  readonly admitted: () => void
  /** It is known and did not let its holder in. Answers how long to wait, where the holder must not be told so. */
  readonly known: () => number | undefined
  /** It is not known. Answers how long to wait, where the holder must not be told so. */
  readonly wrong: () => number | undefined
  /** It was not looked up. */
  readonly dropped: () => void
}

/** Others who keep the same throttle, and to whom what happens here matters as it does here. */
interface ThrottlePeers {
  readonly tell: (words: string) => void
  readonly hear: (said: (words: string) => void) => void
}

export interface ThrottleOptions {
  readonly placesMax?: number
  /** Counts together with others, each by its own clock: a guesser gains nothing by asking another. */
  readonly peers?: ThrottlePeers
  /** Of the hash by which credentials are told apart; peers have the same. */
  readonly key?: string
}

/** Credentials that were known lately; they are not counted while they are under way. */
const knownMax = 50_000
/** Look-ups behind closed doors, from all places together: so many at once, and so many a second. */
const lookUpsMax = 2_000
/** What a request is told that waited in vain for its turn. */
const crowdedMs = 1_000
const keyLengthMax = 64

/** @param clock milliseconds, of a clock that nothing sets */
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
    // Nearly every request: what it is made of need not be asked.
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

  /** Undefined where others have to end first. */
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
   * Answers how long to wait where it is answered from behind the closed door. There it does not count, since nothing
   * was told; nor is it remembered, so that it counts when it comes again.
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

  /** What was counted as wrong is right by now: that one, and nothing else, is taken back. */
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
  /** Absent where nothing is remembered of the place. */
  readonly place?: Place
  readonly doors: readonly Door[]
  /** How long the door was still closed when it was taken up. */
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
 * Ends a guess by what was decided about it. Answers how long its holder has to wait where nothing else may be said:
 * behind a closed door only who is let in is told more.
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
