import type { AdmissionAsk } from '#core/admission-ask.ts'
import { abandonment, type Opened, type Settlement } from '#core/settlement.ts'
import { makeRoom } from '#lib/make-room.ts'

/**
 * The requests that this process is responsible for: those that wait for admission, that run, or whose settlement is
 * being booked. It also keeps booked settlements for a while: a database that lost its latest transactions, such as a
 * promoted standby, has settled entries open again, and lacks others entirely.
 */
export interface Running {
  /** To be called when a request asks for admission. */
  readonly began: (ask: AdmissionAsk) => void
  readonly admitted: (ask: AdmissionAsk, by: AdmittedBy, now: number) => void
  /** To be called when a request was not admitted, or its caller was told so. */
  readonly ended: (requestId: string) => void
  /** Returns the settlement with what was known at the admission. */
  readonly settling: (settlement: Settlement) => Settlement
  readonly booked: (settlement: Settlement) => void
  /** The settlements that end open entries of this process which it is not running. */
  readonly leftOpen: (requestIds: readonly string[]) => readonly Settlement[]
  /** The settlements that were booked lately. */
  readonly lately: () => readonly Settlement[]
}

/** The user that an admitted request counts as, and the front end that it came through. */
interface AdmittedBy {
  readonly userId: string
  readonly frontEndId: string | undefined
}

/** Longer than the lag of a standby that takes over, and than an admission may be in doubt. */
const latelyMs = 120_000
/** Objects that outlive their request make garbage collection slower: 20,000 took a tenth of an admission's time. */
const latelyMax = 2_000
/** Reservations of other gateways may be settled at another instance, which this one does not learn of. */
const leasedMax = 10_000

/** @param mayLose whether the database may lose what was booked while this process lives on */
export function createRunning(mayLose: boolean): Running {
  /** Undefined while a request waits for admission, and if only its settlement is known. */
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
    admitted(ask, by, now) {
      if (!holds(ask)) return
      const opened = toOpened(ask, by, now)
      if (ask.leaseUntil === undefined) running.set(ask.requestId, opened)
      else {
        makeRoom(leased, leasedMax)
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

/** Whether this admission opens an entry. */
function holds({ units, isDry = false }: AdmissionAsk): boolean {
  return units !== undefined && !isDry
}

function toOpened(
  { units, route, isMetered }: AdmissionAsk,
  { userId, frontEndId }: AdmittedBy,
  startedAt: number,
): Opened {
  const { model = '', family = '', input = 0 } = units ?? {}
  const opened = { userId, route, family, model, isMetered, inputEstimate: input, startedAt }
  return frontEndId === undefined ? opened : { ...opened, frontEndId }
}
