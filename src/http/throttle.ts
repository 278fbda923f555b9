import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { placeOf } from '#core/network.ts'
import { Allowance } from '#lib/allowance.ts'
import { makeRoom } from '#lib/make-room.ts'
import { createSecretMemo, type SecretMemo } from '#lib/secret-memo.ts'
import { type Door, waitMsOf } from './door.ts'
import { type Guess, type GuessEnds, TakenGuess, type TakenUp, type Tried } from './guess.ts'
import { createPlaces, type Place, type Places } from './places.ts'
import { createTurns, type Turns } from './turns.ts'
import { type ThrottlePeers, WrongCredentials } from './wrong-credentials.ts'

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

const noDoors: readonly Door[] = []

/** @param clock milliseconds of a monotonic clock */
export function createThrottle(clock: Clock, options: ThrottleOptions = {}): Throttle {
  return new PlaceThrottle(clock, options)
}

class PlaceThrottle implements Throttle, GuessEnds {
  readonly #clock: Clock
  readonly #places: Places
  readonly #wrong: WrongCredentials
  readonly #known = new Set<number>()
  readonly #lookUps = new Allowance(lookUpsMax, lookUpsMax, performance.now())
  readonly #turns: Turns<Taken> = createTurns<Taken>({ kind: 'closed', waitMs: crowdedMs })
  /** As a number, which takes less room than a text. */
  readonly #digests: SecretMemo<number>

  constructor(clock: Clock, options: ThrottleOptions) {
    const { placesMax = 10_000, peers, key = randomBytes(24).toString('base64url') } = options
    this.#clock = clock
    this.#places = createPlaces(clock, placesMax)
    this.#wrong = new WrongCredentials(clock, this.#places, peers)
    this.#digests = createSecretMemo((credential) =>
      Number.parseInt(hash('sha256', key + credential, 'hex').slice(0, 13), 16),
    )
  }

  take(
    address: string,
    credential: string,
    isUnguessable: (credential: string) => boolean,
  ): Taken | Promise<Taken> {
    const places = this.#places
    const digest = this.#digests.of(credential)
    const key = placeOf(address)
    // The fast path of nearly every request: its kind need not be checked.
    if (this.#known.has(digest) && !places.find(key) && !places.hasWider(key))
      return this.#taken({ key, credential, digest, isUnguessable: true, doors: noDoors })
    const place = places.open(key)
    const kind = isUnguessable(credential)
    const attempt = () => this.#tryTaking(place, { credential, digest, isUnguessable: kind })
    const taken = attempt()
    if (taken) return this.#tidied(place, taken)
    place.waiting += 1
    return this.#turns.wait(place, kind, attempt).then((answer) => {
      place.waiting -= 1
      return this.#tidied(place, answer)
    })
  }

  #tidied(place: Place, taken: Taken): Taken {
    if (taken.kind === 'closed') this.#places.tidy(place)
    return taken
  }

  #taken(taken: TakenUp): Taken {
    return { kind: 'taken', guess: new TakenGuess(taken, this) }
  }

  /** Undefined where other guesses have to end first. */
  #tryTaking(place: Place, tried: Tried): Taken | undefined {
    const { digest, isUnguessable } = tried
    const now = this.#clock()
    const { key } = place
    const doors = this.#places.doorsOf(place)
    const waitMs = waitMsOf(doors, now)
    if (waitMs > 0 && !isUnguessable) return { kind: 'closed', waitMs }
    if (this.#known.has(digest)) return this.#taken({ ...tried, key, place, doors, waitMs })
    const isRepeat = place.wrong.has(digest)
    const isHeld = !isRepeat
    if (isHeld && !isUnguessable && !place.held.has(digest) && !doors.every((door) => door.hasRoom(now)))
      return undefined
    const rations = doors.map((door) => door.lookUps)
    if (waitMs > 0 || isRepeat) rations.push(this.#lookUps)
    const at = performance.now()
    if (rations.some((ration) => ration.left(at) < 1)) return undefined
    for (const ration of rations) ration.take(at)
    if (isHeld) hold(place, digest, isUnguessable, doors)
    return this.#taken({ ...tried, key, place, doors, waitMs, rations, isHeld })
  }

  remember(digest: number): void {
    if (this.#known.has(digest)) return
    makeRoom(this.#known, knownMax)
    this.#known.add(digest)
  }

  release({ place, digest, isUnguessable, doors, rations, isHeld }: TakenUp, isInVain: boolean): void {
    if (place && isHeld) letGo(place, digest, isUnguessable, doors)
    if (isInVain && rations) for (const ration of rations) ration.giveBack()
  }

  tidy(place: Place): void {
    this.#places.tidy(place)
    this.#turns.go(place)
  }

  go(place: Place): void {
    this.#turns.go(place)
  }

  rationedMs(doors: readonly Door[]): number | undefined {
    const now = this.#clock()
    if (doors.every((door) => door.hasRations(now))) return undefined
    return Math.max(crowdedMs, waitMsOf(doors, now))
  }

  admitted({ place, credential, digest }: TakenUp): void {
    this.remember(digest)
    this.#digests.keep(credential, digest)
    if (place?.wrong.has(digest)) this.#wrong.excuse(place, digest)
  }

  wrong({ key, digest, isUnguessable, waitMs = 0 }: TakenUp): number | undefined {
    this.#known.delete(digest)
    return this.#wrong.fail(key, digest, waitMs > 0 || isUnguessable)
  }
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
