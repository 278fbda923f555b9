import type { Clock } from '#core/clock.ts'
import { failureWords } from '#storage/fault.ts'
import type { MeteringStore, OnFault } from '#storage/store/metering.ts'
import type { Store } from '#storage/store.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  /** How often this process writes its heartbeat and looks for dead processes; absent: every 2 s and every 5 s. */
  readonly everyMs?: number
  /** The time without a heartbeat after which a process counts as dead. */
  readonly silentMs?: number
  /** Called after each search for dead processes, when the store has answered. */
  readonly onBeat?: () => Promise<void>
  readonly onAbandoned?: (entries: number) => void
  /** Called once for each entry that cannot be closed. Closing it is tried again with every search. */
  readonly onFault?: OnFault
  readonly onFailure?: (error: unknown) => void
}

export const silentMsDefault = 15_000
const everyMsDefault = 2_000
const tidyMsDefault = 5_000
/** The most entries whose fault is remembered as reported. */
const toldMax = 10_000
/** A part that has not answered for so long counts as failed; the deadline of requests is as long. */
const answerMsMax = 5_000
/** The least time between two checks: under load an unavailable store fails many times a second. */
const lookMsLeast = 250

export interface Heartbeat {
  /** The state of each part that an admission needs, as of the last beat: `ok`, or in words what is wrong with it. */
  readonly parts: () => Readonly<Record<Part, string>>
  /** Checks again at once, for callers whose own query has failed. Never rejects. */
  readonly look: () => Promise<void>
  /** Resolves when the running beat has ended. */
  readonly close: () => Promise<void>
}

/** The write of the beat itself, and the connection on which admissions are written. */
type Part = 'heartbeat' | 'admissions'

/**
 * Writes this process's heartbeat, and closes the entries of dead processes and leases that have run out. Each beat also
 * records whether a request could be admitted now, so that readiness checks cost the store nothing.
 */
export function openHeartbeat(
  store: Pick<MeteringStore, 'beat' | 'abandonEntries'> & Partial<Pick<Store, 'check'>>,
  options: HeartbeatOptions,
): Heartbeat {
  const { clock, everyMs = everyMsDefault, silentMs = silentMsDefault } = options
  const tidyMs = options.everyMs === undefined ? tidyMsDefault : 0
  /** Since when every beat has succeeded, by the monotonic clock; undefined while the store is unavailable. */
  let steadySince: number | undefined
  let running: Promise<void> | undefined
  const parts = createParts(options.onFailure)

  const onFault = once(options.onFault)

  async function beat(): Promise<void> {
    const isWell = await parts.watch('heartbeat', () => store.beat(clock()))
    await parts.watch('admissions', async () => store.check?.())
    if (isWell) await tidyNowAndThen()
    else steadySince = undefined
  }

  let tidiedAt = Number.NEGATIVE_INFINITY

  /**
   * Searches for dead processes less often than it beats, unless the store was unavailable: the search costs more than a
   * write.
   */
  async function tidyNowAndThen(): Promise<void> {
    if (steadySince !== undefined && performance.now() - tidiedAt < tidyMs) return
    tidiedAt = performance.now()
    await tidy()
  }

  async function tidy(): Promise<void> {
    try {
      steadySince ??= performance.now()
      // While the store was unavailable no process could write its heartbeat: after an outage each gets `silentMs` to do
      // so.
      const graceMs = performance.now() - steadySince
      const allowedSilenceMs = graceMs >= silentMs ? silentMs : Number.MAX_SAFE_INTEGER
      const entries = await store.abandonEntries(clock(), allowedSilenceMs, onFault)
      if (entries > 0) options.onAbandoned?.(entries)
      await options.onBeat?.().catch((error: unknown) => options.onFailure?.(error))
    } catch (error) {
      steadySince = undefined
      options.onFailure?.(error)
    }
  }

  let begunAt = Number.NEGATIVE_INFINITY

  function run(): Promise<void> {
    if (running) return running
    begunAt = performance.now()
    running = beat().finally(() => {
      running = undefined
    })
    return running
  }

  const timer = setInterval(() => void run(), everyMs)
  timer.unref()
  return {
    parts: parts.words,
    look: async () => {
      if (performance.now() - begunAt >= lookMsLeast) await run()
    },
    close: async () => {
      clearInterval(timer)
      await running
    },
  }
}

/** Tells of each entry once. */
function once(onFault: OnFault | undefined): OnFault {
  const told = new Set<string>()
  return (requestId, error) => {
    if (told.size >= toldMax) told.clear()
    if (!told.has(requestId)) onFault?.(requestId, error)
    told.add(requestId)
  }
}

function createParts(onFailure: HeartbeatOptions['onFailure']) {
  const words: Record<Part, string> = { heartbeat: 'ok', admissions: 'ok' }
  let asked: { readonly part: Part; readonly since: number } | undefined
  return {
    /** Whether the part answered. Never rejects. */
    async watch(part: Part, ask: () => Promise<void>): Promise<boolean> {
      asked = { part, since: performance.now() }
      try {
        await ask()
        words[part] = 'ok'
        return true
      } catch (error) {
        words[part] = failureWords(error)
        onFailure?.(error)
        return false
      } finally {
        asked = undefined
      }
    },
    words(): Readonly<Record<Part, string>> {
      if (!asked || performance.now() - asked.since < answerMsMax) return words
      return { ...words, [asked.part]: 'the database does not answer' }
    },
  }
}
