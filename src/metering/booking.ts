import type { AdmissionOutcome } from '#core/admission-ask.ts'
import type { Clock } from '#core/clock.ts'
import type { SettlementOutcome } from '#core/settlement.ts'
import { noUsage } from '#core/usage.ts'
import type { UsageEventOutcome } from '#core/usage-event.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { StoreFault, StoreUnavailable } from '#storage/store.ts'
import type { Backlog } from './backlog.ts'
import type { LedgerOptions } from './ledger.ts'
import { type Asking, type Counting, halvesOf, type Part, type Settling } from './questions.ts'
import type { Running } from './running.ts'

/**
 * A transaction whose answer was lost may still be running, and commit after the store was asked again. No store runs one
 * for longer than this.
 */
const doubtMs = 30_000
const doubtLookMs = 2_000

/** Books the questions of a batch and answers their callers. */
export class Booking {
  readonly #store: MeteringStore
  readonly #clock: Clock
  readonly #options: LedgerOptions
  readonly #running: Running
  readonly #backlog: Backlog
  #isClosed = false

  constructor(
    store: MeteringStore,
    clock: Clock,
    parts: { readonly options: LedgerOptions; readonly running: Running; readonly backlog: Backlog },
  ) {
    this.#store = store
    this.#clock = clock
    this.#options = parts.options
    this.#running = parts.running
    this.#backlog = parts.backlog
  }

  /** From now on nothing is tried again. */
  close(): void {
    this.#isClosed = true
  }

  /** Books a part, and halves it as long as the store cannot book it whole. Returns false if the store is unavailable. */
  async book(part: Part): Promise<boolean> {
    const { settling, counting, asking } = part
    try {
      const answer = await this.#store.runBatch({
        now: this.#clock(),
        settlements: settling.map(({ settlement }) => settlement),
        ...(counting.length > 0 && { events: counting.map(({ event }) => event) }),
        asks: asking.map(({ ask }) => ask),
      })
      this.#backlog.works()
      for (const [index, { settlement, resolve }] of settling.entries()) {
        this.#running.booked(settlement)
        resolve(answer.settlements[index] ?? 'unknown')
      }
      for (const [index, one] of counting.entries()) answerEvent(one, answer.events[index])
      for (const [index, one] of asking.entries()) this.#answerAsk(one, answer.asks[index], answer.durable)
      answer.durable.catch((error: unknown) => this.#options.onFailure?.(error))
      return true
    } catch (error) {
      if (error instanceof StoreFault) return this.#bookApart(part, error)
      this.#options.onFailure?.(error)
      this.#lose(part, error)
      return false
    }
  }

  async #bookApart(part: Part, error: StoreFault): Promise<boolean> {
    const halves = halvesOf(part)
    if (!halves) {
      await this.#setAsideOne(part, error)
      return true
    }
    const [first, second] = halves
    if (await this.book(first)) return this.book(second)
    this.#lose(second, new StoreUnavailable(error))
    return false
  }

  /**
   * Rejects the questions of callers at once. Settlements state what has happened, so they are kept until they are
   * booked.
   */
  #lose({ settling, counting, asking }: Part, error: unknown): void {
    for (const { ask } of asking) this.#running.ended(ask.requestId)
    for (const { reject } of [...asking, ...counting]) reject(error)
    const mayBeThere = error instanceof StoreUnavailable && error.mayHaveHappened
    const kept = [...settling, ...(mayBeThere ? asking.flatMap((one) => this.#releaseOf(one)) : [])]
    if (kept.length > 0) this.#backlog.putBack(kept)
  }

  /** Sets aside the one question that the store cannot book although it works, so that it does not block the others. */
  async #setAsideOne({ settling, counting, asking }: Part, error: StoreFault): Promise<void> {
    const { onFault, onFailure, setAside } = this.#options
    for (const { ask, reject } of asking) {
      onFault?.(ask.requestId, error)
      this.#running.ended(ask.requestId)
      reject(error)
    }
    for (const one of counting) {
      onFault?.(one.event.requestId, error)
      // An event that carries an access token is not written to disk: its reporter must keep it and report it again.
      if (setAside === undefined || one.event.accessToken !== undefined) one.reject(error)
      else await setAside.add({ event: one.event }, error).then(() => one.resolve('kept'), one.reject)
    }
    for (const one of settling) {
      onFault?.(one.settlement.requestId, error)
      try {
        await setAside?.add({ settlement: one.settlement }, error)
        one.resolve('kept')
      } catch (failure) {
        onFailure?.(failure)
        this.#backlog.putBack([one])
      }
    }
  }

  /** The caller got an error, but the admission may have been committed, or may be later: a release ends it. */
  #releaseOf({ ask: { requestId, units, isDry = false } }: Asking): readonly Settling[] {
    if (!units || isDry) return []
    const nothing = {
      ending: 'released',
      usage: noUsage,
      isEstimated: false,
      status: 503,
      durationMs: 0,
    } as const
    const settlement = this.#running.settling({ ...nothing, requestId, errorCode: 'store_unavailable' })
    const until = performance.now() + doubtMs
    const again = (): Settling => ({ settlement, resolve, isWrittenDown: false, isKept: false })
    const resolve = (outcome: SettlementOutcome | 'kept'): void => {
      if (outcome !== 'unknown' || performance.now() > until) return
      setTimeout(() => this.#isClosed || this.#backlog.add(again()), doubtLookMs).unref()
    }
    return [again()]
  }

  #answerAsk(asking: Asking, outcome: AdmissionOutcome | undefined, durable: Promise<void>): void {
    const { ask } = asking
    if (!outcome) {
      this.#running.ended(ask.requestId)
      asking.reject(unanswered())
      return
    }
    if (outcome.kind === 'admitted' && outcome.user) {
      const by = { userId: outcome.user.id, frontEndId: outcome.through?.id }
      this.#running.admitted(ask, by, this.#clock())
    } else this.#running.ended(ask.requestId)
    if (asking.isGivenUp && outcome.kind === 'admitted') {
      for (const release of this.#releaseOf(asking)) this.#backlog.add(release)
      return
    }
    if (outcome.kind === 'refused' && outcome.disables !== undefined && outcome.user)
      this.#options.onDisabled?.(outcome.user.id, outcome.disables)
    asking.resolve({ ...outcome, durable })
  }
}

function answerEvent({ resolve, reject }: Counting, outcome: UsageEventOutcome | undefined): void {
  if (outcome === undefined) reject(unanswered())
  else resolve(outcome)
}

function unanswered(): StoreUnavailable {
  return new StoreUnavailable(new Error('the store left a question unanswered'))
}
