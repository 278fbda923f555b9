import type { By } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem } from '#core/errors.ts'
import type { AskedPerson, FrontEnd, NamedPerson } from '#core/front-end.ts'
import { type Reading, refused } from '#core/reading.ts'
import { makeRoom } from '#lib/make-room.ts'
import { read } from '#lib/reading.ts'
import type { NamingBody } from '#providers/person-members.ts'
import { type KnownFrontEnd, toKnown } from './known-front-end.ts'
import type { Name } from './name.ts'
import { type NamingVisit, readName } from './read-name.ts'
import { createSignedNames } from './signed-names.ts'

/** Where front ends and their people are stored. */
export interface PeopleStore {
  readonly readFrontEnd: (userId: string) => Promise<FrontEnd | undefined>
  readonly findPerson: (frontEndId: string, person: string) => Promise<string | undefined>
  readonly takePerson: (
    frontEndId: string,
    person: NamedPerson,
    by: By,
  ) => Promise<
    | { readonly kind: 'taken'; readonly userId: string }
    | { readonly kind: 'full'; readonly peopleMax: number }
    | { readonly kind: 'closed' }
  >
}

/**
 * The people behind the access tokens of front ends. Everything here is a hint that saves a look-up: each admission
 * compares the version of the settings with the stored one, and the person with the stored users.
 */
export interface People {
  /** Whether this access token was a front end's when it was last seen. */
  readonly frontEndOf: (accessToken: string) => KnownFrontEnd | undefined
  /** Learns what the access token's front end is set to; undefined where it is no front end any more. */
  readonly learn: (accessToken: string, frontEndId: string) => Promise<KnownFrontEnd | undefined>
  /** The person that the request is for, who becomes a user where this is the first request. Rejects as the store does. */
  readonly personOf: (
    frontEnd: KnownFrontEnd,
    visit: NamingVisit,
    parsed: NamingBody,
  ) => Reading<AskedPerson> | Promise<Reading<AskedPerson>>
  /** Forgets an access token that is no front end's any more. */
  readonly forgetFrontEnd: (accessToken: string) => void
  /** Forgets a person who was not found any more. */
  readonly forget: (person: AskedPerson) => void
}

/** Access tokens of front ends; a rotated one stays until it is the oldest. */
const frontEndsMax = 1_000
/** Each takes some 200 bytes. */
const peopleMax = 100_000

export function createPeople(store: PeopleStore, clock: Clock): People {
  const frontEnds = new Map<string, KnownFrontEnd>()
  const people = new Map<string, string>()
  const coming = new Map<string, Promise<Reading<AskedPerson>>>()
  const signed = createSignedNames(clock)

  function toPerson(
    frontEnd: KnownFrontEnd,
    visit: NamingVisit,
    name: Name,
  ): Reading<AskedPerson> | Promise<Reading<AskedPerson>> {
    const { userId: frontEndId, version, settings } = frontEnd
    if (name.kind === 'wrong') return refused(name.problem)
    if (name.kind === 'none')
      return settings.isRequired ? refused(createProblem('person_unnamed')) : read({ frontEndId, version })
    const key = keyOf(frontEndId, name.named.person)
    const userId = people.get(key)
    if (userId !== undefined) return read({ frontEndId, version, userId })
    const before = coming.get(key)
    if (before) return before
    const looking = lookUp(frontEnd, visit, name.named).finally(() => coming.delete(key))
    coming.set(key, looking)
    return looking
  }

  async function lookUp(
    frontEnd: KnownFrontEnd,
    visit: NamingVisit,
    named: NamedPerson,
  ): Promise<Reading<AskedPerson>> {
    const { userId: frontEndId, version, allowance } = frontEnd
    const known = await store.findPerson(frontEndId, named.person)
    if (known !== undefined) return keep(known)
    const at = performance.now()
    if (allowance.left(at) < 1)
      return refused(createProblem('rate_limited', tooManyNew, { retryAt: clock() + 1000 }))
    allowance.take(at)
    const { requestId, address } = visit
    const by: By = { now: clock(), actor: { kind: 'front_end', id: frontEndId }, requestId, address }
    const taken = await store.takePerson(frontEndId, named, by)
    if (taken.kind === 'taken') return keep(taken.userId)
    if (taken.kind === 'full')
      return refused(createProblem('person_unnamed', `No more than ${taken.peopleMax} people may ask here.`))
    // The admission says why.
    return read({ frontEndId, version: '' })

    function keep(userId: string): Reading<AskedPerson> {
      makeRoom(people, peopleMax)
      people.set(keyOf(frontEndId, named.person), userId)
      return read({ frontEndId, version, userId })
    }
  }

  return {
    frontEndOf: (accessToken) => (frontEnds.size === 0 ? undefined : frontEnds.get(accessToken)),
    async learn(accessToken, frontEndId) {
      const found = await store.readFrontEnd(frontEndId)
      const before = frontEnds.get(accessToken)
      frontEnds.delete(accessToken)
      if (!found) return undefined
      const known = toKnown(found, before)
      makeRoom(frontEnds, frontEndsMax)
      frontEnds.set(accessToken, known)
      return known
    },
    personOf(frontEnd, visit, parsed) {
      const name = readName(frontEnd, visit, parsed, signed)
      return name instanceof Promise
        ? name.then((later) => toPerson(frontEnd, visit, later))
        : toPerson(frontEnd, visit, name)
    },
    forgetFrontEnd: (accessToken) => void frontEnds.delete(accessToken),
    forget({ frontEndId, userId }) {
      if (userId === undefined) return
      // Rare, and an index by user would cost every person.
      for (const [key, known] of people)
        if (known === userId && key.startsWith(frontEndId)) people.delete(key)
    },
  }
}

const tooManyNew = 'Too many new people at once. Try again shortly.'

/** Ids have one length. */
function keyOf(frontEndId: string, person: string): string {
  return frontEndId + person
}
