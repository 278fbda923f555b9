import type { Journal } from './journal.ts'
import type { Settling } from './questions.ts'

/**
 * Settlements that wait to be booked. While the store is unavailable they rest, and are kept in the journal, so that they
 * survive this process.
 */
export interface Backlog {
  readonly add: (settling: Settling) => void
  /** Takes back what could not be booked. Settlements then rest for a while, longer each time. */
  readonly putBack: (settling: readonly Settling[]) => void
  /** Takes the next settlements out; none while they rest. */
  readonly take: (max: number) => Settling[]
  readonly isDue: () => boolean
  /** To be called when the store has booked something. */
  readonly works: () => void
  /** To be called when no batch runs. */
  readonly settle: () => void
  /** Resolves when all settlements are booked, or at least in the journal, and no batch runs. */
  readonly idle: () => Promise<void>
  readonly close: () => Promise<void>
}

const firstRetryMs = 50
const lastRetryMs = 5_000

/** @param schedule called when there may be something to book */
export function createBacklog(
  journal: Journal | undefined,
  schedule: () => void,
  onFailure: ((error: unknown) => void) | undefined,
): Backlog {
  let waiting: Settling[] = []
  const rest = createRest(schedule)
  /** Whether the journal holds settlements. */
  let isJournaled = false
  let idle: (() => void)[] = []

  function endIfIdle(): void {
    if (!waiting.every(({ isKept }) => isKept)) return
    for (const resolve of idle) resolve()
    idle = []
  }

  /** Writes settlements that are not in the journal yet to it. */
  function writeDown(settling: readonly Settling[]): void {
    const fresh = settling.filter(({ isWrittenDown }) => !isWrittenDown)
    if (!journal || fresh.length === 0) return
    isJournaled = true
    for (const one of fresh) one.isWrittenDown = true
    journal.append(fresh.map(({ settlement }) => settlement)).then(
      () => {
        for (const one of fresh) {
          one.isKept = true
          one.resolve('kept')
        }
        if (rest.isOn()) endIfIdle()
      },
      (error: unknown) => {
        // The settlements stay in memory, and are written when the store fails again.
        for (const one of fresh) one.isWrittenDown = false
        onFailure?.(error)
      },
    )
  }

  return {
    add(settling) {
      waiting.push(settling)
      if (rest.isOn()) writeDown([settling])
      schedule()
    },
    putBack(settling) {
      waiting = [...settling, ...waiting]
      writeDown(waiting)
      rest.begin()
    },
    take: (max) => (rest.isOn() ? [] : waiting.splice(0, max)),
    isDue: () => waiting.length > 0 && !rest.isOn(),
    works: rest.forget,
    settle() {
      if (isJournaled && waiting.length === 0) {
        isJournaled = false
        journal?.clear().catch((error: unknown) => onFailure?.(error))
      }
      endIfIdle()
    },
    idle: () =>
      new Promise((resolve) => {
        idle.push(resolve)
        schedule()
      }),
    async close() {
      rest.close()
      await journal?.close()
    },
  }
}

/**
 * The backoff after the store failed: settlements wait until it ends. Admissions still go to the store, so that their
 * callers learn at once whether it answers.
 */
function createRest(onOver: () => void) {
  let timer: NodeJS.Timeout | undefined
  let nextMs = firstRetryMs
  return {
    isOn: () => timer !== undefined,
    /** Longer each time. */
    begin() {
      if (timer) return
      timer = setTimeout(() => {
        timer = undefined
        onOver()
      }, nextMs)
      nextMs = Math.min(nextMs * 2, lastRetryMs)
    },
    /** To be called when the store works: the next one is short again. */
    forget() {
      nextMs = firstRetryMs
    },
    close: () => clearTimeout(timer),
  }
}
