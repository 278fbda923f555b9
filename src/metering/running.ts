import type { AdmissionAsk } from '#core/admission-ask.ts'
import type { Opened, Settlement } from '#core/settlement.ts'

/**
 * Which requests this process answers for, the one place that knows: those that are asked for, that run, or whose
 * settlement is on its way; and for a while the settlements that were booked. A database that lost its latest
 * transactions, as a standby may that was promoted, has entries open that were settled, and others not at all.
 */
export interface Running {
  /** From when a request is asked for. */
  readonly began: (ask: AdmissionAsk) => void
  readonly admitted: (ask: AdmissionAsk, userId: string, now: number) => void
  /** It was not admitted, or its asker was told so. */
  readonly ended: (requestId: string) => void
  /** Its settlement, with what was known at its admission. */
  readonly settling: (settlement: Settlement) => Settlement
  readonly booked: (settlement: Settlement) => void
  /** How open entries of this process that it is not running are to be ended. */
  readonly leftOpen: (requestIds: readonly string[]) => readonly Settlement[]
  /** What was booked lately. */
  readonly lately: () => readonly Settlement[]
}

/** Longer than a standby that takes over lags behind, and than an admission may be in doubt. */
const latelyMs = 120_000
/** What lives longer than the garbage of a request costs each request: 20,000 took a tenth of an admission's time. */
const latelyMax = 2_000
/** Reservations of other gateways may be settled at another instance, and then are never heard of here. */
const leasedMax = 10_000

export interface RunningOptions {
  /** How an entry ends of which nothing is known any more. */
  readonly abandonment: (requestId: string) => Settlement
  /** Whether the database may lose what was booked while this process lives on. */
  readonly mayLose: boolean
}

export function createRunning({ abandonment, mayLose }: RunningOptions): Running {
  /** Undefined while it is asked for, and where its settlement is all that is known of it. */
  const running = new Map<string, Opened | undefined>()
  const leased = new Map<string, Opened>()
  const booked = new Map<string, { readonly settlement: Settlement; readonly at: number }>()

  function takeLeased(requestId: string): Opened | undefined {
    const opened = leased.get(requestId)
    if (opened) leased.delete(requestId)
    return opened
  }

  function remember(settlement: Settlement): void {
    const now = performance.now()
    booked.delete(settlement.requestId)
    booked.set(settlement.requestId, { settlement, at: now })
    for (const [id, { at }] of booked) {
      if (booked.size <= latelyMax && at > now - latelyMs) break
      booked.delete(id)
    }
  }

  return {
    began(ask) {
      if (holds(ask) && ask.leaseUntil === undefined) running.set(ask.requestId, undefined)
    },
    admitted(ask, userId, now) {
      if (!holds(ask)) return
      const opened = toOpened(ask, userId, now)
      if (ask.leaseUntil === undefined) running.set(ask.requestId, opened)
      else {
        const oldest = leased.keys().next()
        if (leased.size >= leasedMax && !oldest.done) leased.delete(oldest.value)
        leased.set(ask.requestId, opened)
      }
    },
    ended: (requestId) => void running.delete(requestId),
    settling(settlement) {
      const { requestId } = settlement
      let opened = running.get(requestId)
      if (!opened) {
        opened = takeLeased(requestId)
        running.set(requestId, opened)
      }
      return opened ? { ...settlement, opened } : settlement
    },
    booked(settlement) {
      running.delete(settlement.requestId)
      if (mayLose) remember(settlement)
    },
    leftOpen: (requestIds) =>
      requestIds.flatMap((id) => (running.has(id) ? [] : [booked.get(id)?.settlement ?? abandonment(id)])),
    lately: () => [...booked.values()].map(({ settlement }) => settlement),
  }
}

/** Whether an entry is opened for it. */
function holds({ units, isDry = false }: AdmissionAsk): boolean {
  return units !== undefined && !isDry
}

function toOpened({ units, route, isMetered }: AdmissionAsk, userId: string, startedAt: number): Opened {
  const { model = '', family = '', input = 0 } = units ?? {}
  return { userId, route, family, model, isMetered, inputEstimate: input, startedAt }
}
