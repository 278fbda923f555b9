import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '#core/clock.ts'
import type { Settlement } from '#core/settlement.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { createBacklog } from './backlog.ts'
import { Booking } from './booking.ts'
import { openDeadlines, type Waiting } from './deadlines.ts'
import { createLanes } from './lanes.ts'
import type { LedgerOptions, RecoveringLedger } from './ledger.ts'
import { createPace } from './pace.ts'
import { type Asking, type Counting, type Part, type Settling, sizeOf } from './questions.ts'
import { createRunning } from './running.ts'

/** While the rate of questions is high, a batch waits this long to fill. */
const gatherMs = 1
const deadlineMsDefault = 5_000

/**
 * Gathers admissions and settlements into batches. While one batch is being written the next one fills. So a busy gateway
 * writes one transaction instead of fifty, and an idle one does not wait.
 */
export function openLedger(
  store: MeteringStore,
  clock: Clock,
  options: LedgerOptions = {},
): RecoveringLedger {
  const { lanes = 1, mayLoseBooked: mayLose = false } = store
  // If several batches run at a time, one must not take all questions and leave the others empty.
  const { batchMax = lanes > 1 ? 128 : 256, deadlineMs = deadlineMsDefault } = options
  const asks: Asking[] = []
  const events: Counting[] = []
  const underWay = createUnderWay()
  const running = createRunning(mayLose)
  const { schedule } = createLanes(lanes, {
    hasWork: () => asks.length > 0 || events.length > 0 || backlog.isDue(),
    runOne,
    onIdle: () => backlog.settle(),
  })
  const backlog = createBacklog(options.journal, schedule, options.onFailure)
  const booking = new Booking(store, clock, { options, running, backlog })
  const pace = createPace()
  const deadlines = openDeadlines(deadlineMs, () => [asks, events, ...underWay.lists])

  async function runOne(): Promise<void> {
    if (pace.isBusy()) await wait(gatherMs)
    const part = takePart()
    const questions = sizeOf(part)
    if (questions === 0) return
    pace.took(questions)
    await underWay.during(part, () => booking.book(part))
  }

  function takePart(): Part {
    return {
      settling: backlog.take(batchMax),
      counting: events.splice(0, batchMax).filter(isWaiting),
      asking: asks.splice(0, batchMax).filter((one) => {
        if (one.isGivenUp) running.ended(one.ask.requestId)
        return !one.isGivenUp
      }),
    }
  }

  function hand(settlement: Settlement, resolve: Settling['resolve'] = () => {}): void {
    backlog.add({ settlement: running.settling(settlement), resolve, isWrittenDown: false, isKept: false })
  }

  function handAll(settlements: readonly Settlement[]): number {
    for (const settlement of settlements) hand(settlement)
    return settlements.length
  }

  return {
    admit: (ask) =>
      new Promise((resolve, reject) => {
        running.began(ask)
        asks.push({ ask, resolve, reject, since: performance.now(), isGivenUp: false })
        schedule()
      }),
    settle: (settlement) => new Promise((resolve) => hand(settlement, resolve)),
    count: (event) =>
      new Promise((resolve, reject) => {
        events.push({ event, resolve, reject, since: performance.now(), isGivenUp: false })
        schedule()
      }),
    settleAgain: (openEntries) => handAll(running.leftOpen(openEntries)),
    settleLatelyAgain: () => handAll(running.lately()),
    close: async () => {
      await backlog.idle()
      booking.close()
      deadlines.close()
      await backlog.close()
    },
  }
}

/** The questions of the running batches; there are few, one for each lane. */
function createUnderWay() {
  const lists: (readonly Waiting[])[] = []
  return {
    lists,
    async during({ asking, counting }: Part, book: () => Promise<unknown>): Promise<void> {
      lists.push(asking, counting)
      try {
        await book()
      } finally {
        for (const list of [asking, counting]) lists.splice(lists.indexOf(list), 1)
      }
    },
  }
}

const isWaiting = ({ isGivenUp }: Waiting) => !isGivenUp
