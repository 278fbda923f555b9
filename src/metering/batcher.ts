import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '#core/clock.ts'
import type { AdmissionAsk, MeteringStore, Settlement } from '#storage/store.ts'
import type { Asked, Meter } from './meter.ts'

/**
 * Gathers admissions and settlements into batches: while one batch is being written the next one fills, so a
 * busy gateway pays for one transaction where it had fifty, and an idle one waits for nothing.
 */
export interface MeterOptions {
  /** A batch's most questions; what is more goes into the next one. */
  readonly batchMax?: number
  /** Told of each failed batch; the callers know only that the store was away. */
  readonly onFailure?: (error: unknown) => void
}

interface Asking {
  readonly ask: AdmissionAsk
  readonly resolve: (outcome: Asked) => void
  readonly reject: (error: unknown) => void
}

interface Settling {
  readonly settlement: Settlement
  readonly resolve: () => void
}

/**
 * From so many questions a millisecond on a batch waits a millisecond to fill: each transaction and each sync to
 * the disk costs the same for one question as for fifty. Below, nobody waits for anybody.
 */
const busyPerMs = 6
const gatherMs = 1

const firstRetryMs = 50
const lastRetryMs = 5_000

export function openMeter(store: MeteringStore, clock: Clock, options: MeterOptions = {}): Meter {
  const { batchMax = 256, onFailure } = options
  const asks: Asking[] = []
  let settlements: Settling[] = []
  let isRunning = false
  let isScheduled = false
  /** The store failed: settlements rest until this timer ends; asks go on, to be told at once how it stands. */
  let rest: NodeJS.Timeout | undefined
  let retryMs = firstRetryMs
  let idle: (() => void)[] = []

  const pace = createPace()

  const isWorkLeft = () => asks.length > 0 || (settlements.length > 0 && !rest)

  /** Requests that came in the same turn of the event loop share a batch, so the first one waits for its end. */
  function schedule(): void {
    if (isRunning || isScheduled) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      void runAll()
    })
  }

  async function runAll(): Promise<void> {
    isRunning = true
    while (isWorkLeft()) {
      if (pace.isBusy()) await wait(gatherMs)
      await runOne()
    }
    isRunning = false
    if (settlements.length > 0) return
    for (const resolve of idle) resolve()
    idle = []
  }

  async function runOne(): Promise<void> {
    const settling = rest ? [] : settlements.splice(0, batchMax)
    const asking = asks.splice(0, batchMax)
    pace.took(settling.length + asking.length)
    try {
      const answer = await store.runBatch({
        now: clock(),
        settlements: settling.map(({ settlement }) => settlement),
        asks: asking.map(({ ask }) => ask),
      })
      retryMs = firstRetryMs
      for (const { resolve } of settling) resolve()
      for (const [index, { resolve, reject }] of asking.entries()) {
        const outcome = answer.asks[index]
        if (outcome) resolve({ ...outcome, durable: answer.durable })
        else reject(new Error('the store left an ask unanswered'))
      }
      answer.durable.catch((error: unknown) => onFailure?.(error))
    } catch (error) {
      onFailure?.(error)
      // Whoever asks gets to know at once; what was settled has happened and is kept until it is booked.
      for (const { reject } of asking) reject(error)
      if (settling.length > 0) keep(settling)
    }
  }

  function keep(settling: readonly Settling[]): void {
    settlements = [...settling, ...settlements]
    rest = setTimeout(() => {
      rest = undefined
      schedule()
    }, retryMs)
    retryMs = Math.min(retryMs * 2, lastRetryMs)
  }

  return {
    admit: (ask) =>
      new Promise((resolve, reject) => {
        asks.push({ ask, resolve, reject })
        schedule()
      }),
    settle: (settlement) =>
      new Promise((resolve) => {
        settlements.push({ settlement, resolve })
        schedule()
      }),
    close: () =>
      new Promise((resolve) => {
        idle.push(resolve)
        schedule()
      }),
  }
}

/** How many questions come, as a moving average over some ten batches. */
function createPace() {
  let perMs = 0
  let lastAt = performance.now()
  return {
    isBusy: () => perMs > busyPerMs,
    took(questions: number): void {
      const now = performance.now()
      // Two batches in the same instant say nothing of the pace.
      perMs += (questions / Math.max(0.05, now - lastAt) - perMs) / 10
      lastAt = now
    },
  }
}
