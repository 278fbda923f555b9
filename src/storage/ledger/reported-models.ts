import type { Policy } from '#core/admission.ts'
import { spelledOut } from '#lib/glob.ts'

/**
 * Under which name reports count a request. A model's name is text that a client writes, and each name is a row of the
 * totals, which are kept for ever, so their number is bounded: names that the configuration spells out, or an upstream's own
 * list, are always shown.
 * Any other name needs one of `placesMax` places, which it keeps for as long as it is used every day. What finds no
 * place is counted as `otherModel`. The entry of a request has the name as it was sent.
 */
export interface ReportedNames {
  readonly of: ReportedName
  /** The same for an upstream, which another gateway names in its events and reservations. */
  readonly upstreamOf: (upstream: string, userId: string, now: number) => string
  /** Takes the names of an upstream's own list, in the place of those of its last one. */
  readonly list: (upstream: string, models: readonly string[]) => void
}

type ReportedName = (model: string, request: ReportedRequest, now: number) => string

interface ReportedRequest {
  readonly userId: string
  /** It was charged, not released or abandoned. */
  readonly isSettled: boolean
  /** HTTP status that the client got; 0 where it hung up before. */
  readonly status: number
}

/** A family's name stands for a model where a request names none. */
type KnownNames = Pick<Policy, 'modelNames' | 'families' | 'upstreamNames'>

/** No provider names a model so: parentheses stand in none of their names. */
export const otherModel = '(other)'

/** Of one instance, at a time. */
export const placesMax = 500
/** Of these, what requests without an answer may take, and what one user may take in a day. */
export const shareMax = 100
/** Longer names are refused where they come in. */
const lengthMax = 256

/** Of one upstream. */
const listedMax = 2000

const dayMs = 86_400_000

export function createReportedNames({
  modelNames = [],
  families,
  upstreamNames = [],
}: KnownNames): ReportedNames {
  const upstreams = createPlaces(['', ...upstreamNames])
  const models = createPlaces([
    ...modelNames,
    ...families.map(({ name }) => name),
    ...families.flatMap(({ models }) => spelledOut(models)),
  ])
  return {
    ...models,
    // A refusal says nothing against the name of an upstream.
    upstreamOf: (upstream, userId, now) =>
      upstreams.of(upstream, { userId, isSettled: true, status: 200 }, now),
  }
}

/** @param names always shown */
function createPlaces(names: readonly string[]): Omit<ReportedNames, 'upstreamOf'> {
  const always = new Set(names)
  let lists: ReadonlyMap<string, readonly string[]> = new Map()
  let listed: ReadonlySet<string> = new Set()
  /** Those that were used today, and the others that were used on the day before. */
  let today = new Set<string>()
  let before = new Set<string>()
  let takenBy = new Map<string, number>()
  let day = Number.NaN

  function beginDay(now: number): void {
    const current = Math.floor(now / dayMs)
    if (current === day) return
    day = current
    before = today
    today = new Set()
    takenBy = new Map()
  }

  function takesPlace(model: string, request: ReportedRequest): boolean {
    // The request may be refused for that very name.
    if (isRefused(request.status) || model.length > lengthMax) return false
    const taken = takenBy.get(request.userId) ?? 0
    const places = isAnswered(request) ? placesMax : shareMax
    if (taken >= shareMax || today.size + before.size >= places) return false
    takenBy.set(request.userId, taken + 1)
    today.add(model)
    return true
  }

  function nameOf(model: string, request: ReportedRequest, now: number): string {
    if (always.has(model) || listed.has(model)) return model
    beginDay(now)
    if (today.has(model)) return model
    if (before.delete(model)) {
      today.add(model)
      return model
    }
    return takesPlace(model, request) ? model : otherModel
  }

  return {
    of: nameOf,
    list(upstream, models) {
      const named = models.slice(0, listedMax).filter(({ length }) => length <= lengthMax)
      lists = new Map([...lists, [upstream, named]])
      listed = new Set([...lists.values()].flat())
    },
  }
}

function isAnswered({ isSettled, status }: ReportedRequest): boolean {
  return isSettled && status >= 200 && status < 300
}

function isRefused(status: number): boolean {
  return status >= 400 && status < 500 && status !== 429
}
