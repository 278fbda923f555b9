/**
 * Requests that wait for others from the same place to end. They continue in the order in which they came. One that has
 * waited too long, or finds too many before it, gets its answer without a turn.
 */
export interface Turns<T> {
  /** Waits until `attempt` returns a value. Requests of the same `kind` at a place continue one by one. */
  readonly wait: (place: object, kind: boolean, attempt: () => T | undefined) => Promise<T>
  /** A guess has ended at this place. */
  readonly go: (place: object) => void
}

interface Waiting<T> {
  readonly kind: boolean
  readonly attempt: () => T | undefined
  readonly resolve: (answer: T) => void
  readonly until: number
}

const waitingMax = 1_000
const waitingAtPlaceMax = 250
const waitMsMax = 2_000
/** Rate limits recover with time, so waiting requests are also tried again at this interval. */
const lookMs = 10

/** @param inVain the answer of requests that do not get their turn */
export function createTurns<T>(inVain: T): Turns<T> {
  const queues = new Map<object, Waiting<T>[]>()
  let waiting = 0
  let isLooking = false

  function go(place: object): void {
    const queue = queues.get(place)
    if (!queue) return
    const now = performance.now()
    const stuck = new Set<boolean>()
    const left = queue.filter((one) => {
      const answer = stuck.has(one.kind) ? undefined : one.attempt()
      if (answer === undefined) stuck.add(one.kind)
      if (answer === undefined && now < one.until) return true
      waiting -= 1
      one.resolve(answer ?? inVain)
      return false
    })
    if (left.length > 0) queues.set(place, left)
    else queues.delete(place)
  }

  function look(): void {
    for (const place of [...queues.keys()]) go(place)
    isLooking = waiting > 0
    if (isLooking) setTimeout(look, lookMs)
  }

  return {
    wait(place, kind, attempt) {
      const queue = queues.get(place) ?? []
      if (waiting >= waitingMax || queue.length >= waitingAtPlaceMax) return Promise.resolve(inVain)
      waiting += 1
      if (!isLooking) setTimeout(look, lookMs)
      isLooking = true
      queues.set(place, queue)
      return new Promise((resolve) =>
        queue.push({ kind, attempt, resolve, until: performance.now() + waitMsMax }),
      )
    },
    go,
  }
}
