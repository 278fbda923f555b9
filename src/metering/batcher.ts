import { setTimeout as wait } from 'node:timers/promises'
import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { Clock } from '#core/clock.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import { noUsage } from '#core/usage.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { type MeteringStore, StoreFault, StoreUnavailable } from '#storage/store.ts'
import { openDeadlines, type Waiting } from './deadlines.ts'
import type { Journal } from './journal.ts'
import type { Asked, Meter, RecoveringMeter } from './meter.ts'
import { createRunning } from './running.ts'
import type { SetAside } from './set-aside.ts'

/**
 * Gathers admissions and settlements into batches. While one batch is being written the next one fills. So a busy gateway
 * writes one transaction instead of fifty, and an idle one does not wait.
 */
export interface MeterOptions {
  /** The most questions in one batch; the rest go into the next one. */
  readonly batchMax?: number
  /** Called for each failed batch; its callers learn only that the store was unavailable. */
  readonly onFailure?: (error: unknown) => void
  /** Called for each question that the store cannot book although it works, with the request's id. */
  readonly onFault?: (requestId: string, error: StoreFault) => void
  /** Keeps settlements on this machine while the store is unavailable. */
  readonly journal?: Journal
  /** Keeps what the store cannot book. */
  readonly setAside?: SetAside
  /** Called for each user whom an admission has disabled. */
  readonly onDisabled?: (userId: string, reason: string) => void
  /**
   * The deadline of a question: after this time its caller gets `StoreUnavailable`, whether or not the store answers
   * later.
   */
  readonly deadlineMs?: number
}

interface Asking extends Waiting {
  readonly ask: AdmissionAsk
  readonly resolve: (outcome: Asked) => void
}

interface Settling {
  readonly settlement: Settlement
  readonly resolve: (outcome: Awaited<ReturnType<Meter['settle']>>) => void
  /** The settlement is in the journal, or is being written there. */
  isWrittenDown: boolean
  isKept: boolean
}

interface Counting extends Waiting {
  readonly event: UsageEvent
  readonly resolve: (outcome: UsageEventOutcome | 'kept') => void
}

/** The questions that are booked in one transaction. */
interface Part {
  readonly settling: readonly Settling[]
  readonly counting: readonly Counting[]
  readonly asking: readonly Asking[]
}

/**
 * At this many questions a millisecond, a batch waits a millisecond to fill: each transaction and each sync to the disk
 * costs the same for one question as for fifty. At a lower rate a batch does not wait.
 */
const busyPerMs = 6
const gatherMs = 1

const firstRetryMs = 50
const lastRetryMs = 5_000
const deadlineMsDefault = 5_000

/**
 * A transaction whose answer was lost may still be running, and commit after the store was asked again. No store runs one
 * for longer than this.
 */
const doubtMs = 30_000
const doubtLookMs = 2_000

export function openMeter(store: MeteringStore, clock: Clock, options: MeterOptions = {}): RecoveringMeter {
  const { lanes = 1, mayLoseBooked: mayLose = false } = store
  // If several batches run at a time, one must not take all questions and leave the others empty.
  const { batchMax = lanes > 1 ? 128 : 256, deadlineMs = deadlineMsDefault } = options
  const { onFailure, journal, setAside } = options
  const asks: Asking[] = []
  const events: Counting[] = []
  let settlements: Settling[] = []
  /** The questions of the running batches; there are few, one for each lane. */
  const underWay: (readonly Waiting[])[] = []
  let busyLanes = 0
  let isClosed = false
  let isScheduled = false
  /**
   * Set after the store failed: settlements wait until this timer ends, the backoff. Admissions still go to the store, so
   * that their callers learn at once whether it answers.
   */
  let rest: NodeJS.Timeout | undefined
  let retryMs = firstRetryMs
  let idle: (() => void)[] = []
  /** Whether the journal holds settlements. */
  let isJournaled = false

  const running = createRunning({ abandonment, mayLose })
  const pace = createPace()
  const deadlines = openDeadlines(deadlineMs, () => [asks, events, ...underWay])

  const isWorkLeft = () => asks.length > 0 || events.length > 0 || (settlements.length > 0 && !rest)

  /**
   * Requests that arrive in the same turn of the event loop share a batch, so the first one waits for the end of the
   * turn.
   */
  function schedule(): void {
    if (busyLanes >= lanes || isScheduled) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      void runAll()
    })
  }

  async function runAll(): Promise<void> {
    busyLanes += 1
    while (isWorkLeft()) {
      if (pace.isBusy()) await wait(gatherMs)
      await runOne()
    }
    busyLanes -= 1
    if (busyLanes > 0) return
    if (isJournaled && settlements.length === 0) {
      isJournaled = false
      journal?.clear().catch((error: unknown) => onFailure?.(error))
    }
    endIfIdle()
  }

  function endIfIdle(): void {
    if (!settlements.every(({ isKept }) => isKept)) return
    for (const resolve of idle) resolve()
    idle = []
  }

  async function runOne(): Promise<void> {
    const settling = rest ? [] : settlements.splice(0, batchMax)
    const counting = events.splice(0, batchMax).filter(isWaiting)
    const asking = asks.splice(0, batchMax).filter((one) => {
      if (one.isGivenUp) running.ended(one.ask.requestId)
      return !one.isGivenUp
    })
    const questions = settling.length + counting.length + asking.length
    if (questions === 0) return
    pace.took(questions)
    underWay.push(asking, counting)
    try {
      await runPart({ settling, counting, asking })
    } finally {
      for (const list of [asking, counting]) underWay.splice(underWay.indexOf(list), 1)
    }
  }

  /** Books a part, and halves it as long as the store cannot book it whole. Returns false if the store is unavailable. */
  async function runPart(part: Part): Promise<boolean> {
    const { settling, counting, asking } = part
    try {
      const answer = await store.runBatch({
        now: clock(),
        settlements: settling.map(({ settlement }) => settlement),
        ...(counting.length > 0 && { events: counting.map(({ event }) => event) }),
        asks: asking.map(({ ask }) => ask),
      })
      retryMs = firstRetryMs
      for (const [index, { settlement, resolve }] of settling.entries()) {
        running.booked(settlement)
        resolve(answer.settlements[index] ?? 'unknown')
      }
      for (const [index, one] of counting.entries()) answerEvent(one, answer.events[index])
      for (const [index, one] of asking.entries()) answerAsk(one, answer.asks[index], answer.durable)
      answer.durable.catch((error: unknown) => onFailure?.(error))
      return true
    } catch (error) {
      if (!(error instanceof StoreFault)) {
        onFailure?.(error)
        lose(part, error)
        return false
      }
      const halves = halvesOf(part)
      if (!halves) {
        await setAsideOne(part, error)
        return true
      }
      const [first, second] = halves
      if (await runPart(first)) return runPart(second)
      lose(second, new StoreUnavailable(error))
      return false
    }
  }

  /**
   * Rejects the questions of callers at once. Settlements state what has happened, so they are kept until they are
   * booked.
   */
  function lose({ settling, counting, asking }: Part, error: unknown): void {
    for (const { ask } of asking) running.ended(ask.requestId)
    for (const { reject } of [...asking, ...counting]) reject(error)
    const lost = error instanceof StoreUnavailable && error.mayHaveHappened ? asking.flatMap(releaseOf) : []
    const kept = [...settling, ...lost]
    if (kept.length > 0) keep(kept)
  }

  /** Sets aside the one question that the store cannot book although it works, so that it does not block the others. */
  async function setAsideOne({ settling, counting, asking }: Part, error: StoreFault): Promise<void> {
    for (const { ask, reject } of asking) {
      options.onFault?.(ask.requestId, error)
      running.ended(ask.requestId)
      reject(error)
    }
    for (const one of counting) {
      options.onFault?.(one.event.requestId, error)
      // An event that carries an access token is not written to disk: its reporter must keep it and report it again.
      if (setAside === undefined || one.event.accessToken !== undefined) one.reject(error)
      else await setAside.add({ event: one.event }, error).then(() => one.resolve('kept'), one.reject)
    }
    for (const one of settling) {
      options.onFault?.(one.settlement.requestId, error)
      try {
        await setAside?.add({ settlement: one.settlement }, error)
        one.resolve('kept')
      } catch (failure) {
        onFailure?.(failure)
        keep([one])
      }
    }
  }

  /** The caller got an error, but the admission may have been committed, or may be later: a release ends it. */
  function releaseOf({ ask: { requestId, units, isDry = false } }: Asking): readonly Settling[] {
    if (!units || isDry) return []
    const nothing = {
      ending: 'released',
      usage: noUsage,
      isEstimated: false,
      status: 503,
      durationMs: 0,
    } as const
    const settlement = running.settling({ ...nothing, requestId, errorCode: 'store_unavailable' })
    const until = performance.now() + doubtMs
    const again = (): Settling => ({ settlement, resolve, isWrittenDown: false, isKept: false })
    function resolve(outcome: SettlementOutcome | 'kept'): void {
      if (outcome !== 'unknown' || performance.now() > until) return
      setTimeout(() => isClosed || hand(again()), doubtLookMs).unref()
    }
    return [again()]
  }

  function hand(settling: Settling): void {
    settlements.push(settling)
    if (rest) writeDown([settling])
    schedule()
  }

  function handAgain(settlement: Settlement): void {
    hand({ settlement: running.settling(settlement), resolve: () => {}, isWrittenDown: false, isKept: false })
  }

  function answerAsk(asking: Asking, outcome: AdmissionOutcome | undefined, durable: Promise<void>): void {
    const { ask } = asking
    if (!outcome) {
      running.ended(ask.requestId)
      asking.reject(unanswered())
      return
    }
    if (outcome.kind === 'admitted' && outcome.user) running.admitted(ask, outcome.user.id, clock())
    else running.ended(ask.requestId)
    if (asking.isGivenUp && outcome.kind === 'admitted') {
      for (const release of releaseOf(asking)) hand(release)
      return
    }
    if (outcome.kind === 'refused' && outcome.disables !== undefined && outcome.user)
      options.onDisabled?.(outcome.user.id, outcome.disables)
    asking.resolve({ ...outcome, durable })
  }

  function answerEvent({ resolve, reject }: Counting, outcome: UsageEventOutcome | undefined): void {
    if (outcome === undefined) reject(unanswered())
    else resolve(outcome)
  }

  function keep(settling: readonly Settling[]): void {
    settlements = [...settling, ...settlements]
    writeDown(settlements)
    if (rest) return
    rest = setTimeout(() => {
      rest = undefined
      schedule()
    }, retryMs)
    retryMs = Math.min(retryMs * 2, lastRetryMs)
  }

  /** Writes settlements that are not in the journal yet to it, so that they survive this process. */
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
        if (rest) endIfIdle()
      },
      (error: unknown) => {
        // The settlements stay in memory, and are written when the store fails again.
        for (const one of fresh) one.isWrittenDown = false
        onFailure?.(error)
      },
    )
  }

  return {
    admit: (ask) =>
      new Promise((resolve, reject) => {
        running.began(ask)
        asks.push({ ask, resolve, reject, since: performance.now(), isGivenUp: false })
        schedule()
      }),
    settle: (settlement) =>
      new Promise((resolve) => {
        hand({ settlement: running.settling(settlement), resolve, isWrittenDown: false, isKept: false })
      }),
    count: (event) =>
      new Promise((resolve, reject) => {
        events.push({ event, resolve, reject, since: performance.now(), isGivenUp: false })
        schedule()
      }),
    settleAgain(openEntries) {
      const left = running.leftOpen(openEntries)
      for (const settlement of left) handAgain(settlement)
      return left.length
    },
    settleLatelyAgain() {
      const lately = running.lately()
      for (const settlement of lately) handAgain(settlement)
      return lately.length
    },
    close: async () => {
      await new Promise<void>((resolve) => {
        idle.push(resolve)
        schedule()
      })
      isClosed = true
      deadlines.close()
      clearTimeout(rest)
      await journal?.close()
    },
  }
}

/** The first half of the questions and the rest, in their order; undefined if there is only one. */
function halvesOf({ settling, counting, asking }: Part): readonly [Part, Part] | undefined {
  const half = (settling.length + counting.length + asking.length) >> 1
  if (half === 0) return undefined
  const [settled, counted] = [
    Math.min(half, settling.length),
    Math.min(half - settling.length, counting.length),
  ]
  const events = Math.max(0, counted)
  const asks = half - settled - events
  return [
    {
      settling: settling.slice(0, settled),
      counting: counting.slice(0, events),
      asking: asking.slice(0, asks),
    },
    { settling: settling.slice(settled), counting: counting.slice(events), asking: asking.slice(asks) },
  ]
}

const isWaiting = ({ isGivenUp }: Waiting) => !isGivenUp

/**
 * The settlement of an entry that this process opened and no longer knows: it is charged the estimate that it began with.
 */
function abandonment(requestId: string): Settlement {
  return { requestId, ending: 'abandoned', usage: noUsage, isEstimated: true, status: 0, durationMs: 0 }
}

function unanswered(): StoreUnavailable {
  return new StoreUnavailable(new Error('the store left a question unanswered'))
}

/** The rate of questions, as a moving average over about ten batches. */
function createPace() {
  let perMs = 0
  let lastAt = performance.now()
  return {
    isBusy: () => perMs > busyPerMs,
    took(questions: number): void {
      const now = performance.now()
      // Batches at almost the same time would distort the rate, so their distance counts as at least 0.05 ms.
      perMs += (questions / Math.max(0.05, now - lastAt) - perMs) / 10
      lastAt = now
    },
  }
}
