import { widerPlaceOf } from '#core/network.ts'
import { makeRoom } from '#lib/make-room.ts'
import { Door, nearRule, wideRule } from './door.ts'

/** The places from which guesses come, and the wrong credentials of each. Credentials are stored as digests only. */
export interface Place {
  readonly key: string
  readonly near: Door
  /** Wrong credentials of this place, the latest last. A repeat of one tells a guesser nothing and does not count. */
  readonly wrong: Set<number>
  /** Credentials that were compared while the place was blocked, the latest last. */
  readonly rationed: Set<number>
  /** Guesses under way, which count until they turn out to be known: digest to the number of requests. */
  readonly held: Map<number, number>
  /** How many requests of this place wait for their turn. */
  waiting: number
}

export interface Places {
  readonly find: (key: string) => Place | undefined
  readonly open: (key: string) => Place
  /** The throttles that apply to a place: its own, and that of the network around it. */
  readonly doorsOf: (place: Place) => readonly Door[]
  /** Whether a network around this place is remembered. */
  readonly hasWider: (key: string) => boolean
  readonly addWrong: (place: Place, digest: number) => void
  /** Returns whether the credential is new there: neither compared just now nor known as wrong. */
  readonly addRationed: (place: Place, digest: number) => boolean
  /** Removes a place without any state. */
  readonly tidy: (place: Place) => void
}

const digestsMax = 32

/** @param placesMax size of the table; the place that failed longest ago is removed first */
export function createPlaces(clock: () => number, placesMax: number): Places {
  const places = new Map<string, Place>()
  const wides = new Map<string, Door>()

  function open(key: string): Place {
    const known = places.get(key)
    if (known) return known
    const place: Place = {
      key,
      near: new Door(nearRule, clock()),
      wrong: new Set(),
      rationed: new Set(),
      held: new Map(),
      waiting: 0,
    }
    put(places, key, place, placesMax)
    return place
  }

  function doorsOf({ key, near }: Place): readonly Door[] {
    const wider = widerPlaceOf(key)
    if (wider === undefined) return [near]
    const known = wides.get(wider)
    if (known) return [near, known]
    const made = new Door(wideRule, clock())
    put(wides, wider, made, placesMax)
    return [near, made]
  }

  return {
    find: (key) => places.get(key),
    open,
    doorsOf,
    hasWider(key) {
      if (wides.size === 0) return false
      const wider = widerPlaceOf(key)
      return wider !== undefined && wides.has(wider)
    },
    addWrong(place, digest) {
      addTo(place.wrong, digest)
      put(places, place.key, place, placesMax)
      const wider = widerPlaceOf(place.key)
      const wide = wider === undefined ? undefined : wides.get(wider)
      if (wider !== undefined && wide) put(wides, wider, wide, placesMax)
    },
    addRationed({ wrong, rationed }, digest) {
      if (wrong.has(digest) || rationed.has(digest)) return false
      addTo(rationed, digest)
      return true
    },
    tidy(place) {
      const { key, near, wrong, held, waiting } = place
      if (wrong.size > 0 || held.size > 0 || waiting > 0 || !near.isBlank(clock())) return
      if (places.get(key) === place) places.delete(key)
      const wider = widerPlaceOf(key)
      if (wider !== undefined && wides.get(wider)?.isBlank(clock())) wides.delete(wider)
    },
  }
}

function addTo(digests: Set<number>, digest: number): void {
  makeRoom(digests, digestsMax)
  digests.add(digest)
}

/** Puts an item last, and removes the first where there are too many. */
function put<T>(items: Map<string, T>, key: string, item: T, most: number): void {
  items.delete(key)
  items.set(key, item)
  const [first] = items.keys()
  if (items.size > most && first !== undefined) items.delete(first)
}
