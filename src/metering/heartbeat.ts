import type { Clock } from '#core/clock.ts'
import { failureWords } from '#storage/fault.ts'
import type { MeteringStore, OnFault, Store } from '#storage/store.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  /** How often this process says that it lives and looks for those that do not; 2 s and 5 s where nothing is said. */
  readonly everyMs?: number
  /** After how long a silence a process is taken for dead. */
  readonly silentMs?: number
  /** Done after each beat: the store is there. */
  readonly onBeat?: () => Promise<void>
  readonly onAbandoned?: (entries: number) => void
  /** Told once of each entry that cannot be closed; it is tried again with every beat. */
  readonly onFault?: OnFault
  readonly onFailure?: (error: unknown) => void
}

export const silentMsDefault = 15_000
const everyMsDefault = 2_000
const tidyMsDefault = 5_000
/** Entries whose fault is remembered as told. */
const toldMax = 10_000
/** A part that has not answered for so long is taken for one that does not; requests are told the same by then. */
const answerMsMax = 5_000
/** Under load a store that is away fails many times a second. */
const lookMsLeast = 250

export interface Heartbeat {
  /** What an admission needs, each part `ok` or in words what is wrong with it, as of the last beat. */
  readonly parts: () => Readonly<Record<Part, string>>
  /** Something failed elsewhere: looks again at once. Never rejects. */
  readonly look: () => Promise<void>
  /** Resolves when nothing is under way any more. */
  readonly close: () => Promise<void>
}

/** The write of the beat itself, and the connection on which admissions are written. */
type Part = 'heartbeat' | 'admissions'

/**
 * Says that this process lives, and closes what the dead have left open and leases that have run out. Each beat shows
 * as well whether a request could be admitted now, so that asking for that costs the store nothing.
 */
export function openHeartbeat(
  store: Pick<MeteringStore, 'beat' | 'abandonEntries'> & Partial<Pick<Store, 'check'>>,
  options: HeartbeatOptions,
): Heartbeat {
  const { clock, everyMs = everyMsDefault, silentMs = silentMsDefault } = options
  const tidyMs = options.everyMs === undefined ? tidyMsDefault : 0
  /** Since when every beat went through, by the clock that nobody sets; undefined while the store is away. */
  let steadySince: number | undefined
  let running: Promise<void> | undefined
  const parts = createParts()

  const told = new Set<string>()
  const onFault: OnFault = (requestId, error) => {
    if (told.size >= toldMax) told.clear()
    if (!told.has(requestId)) options.onFault?.(requestId, error)
    told.add(requestId)
  }

  async function beat(): Promise<void> {
    const isWell = await answers('heartbeat', () => store.beat(clock()))
    await answers('admissions', async () => store.check?.())
    if (isWell) await tidyNowAndThen()
    else steadySince = undefined
  }

  /** Never rejects. */
  async function answers(part: Part, ask: () => Promise<void>): Promise<boolean> {
    try {
      await parts.watch(part, ask)
      return true
    } catch (error) {
      options.onFailure?.(error)
      return false
    }
  }

  let tidiedAt = Number.NEGATIVE_INFINITY

  /** Less often than it beats, unless the store was away: it asks for more than a write. */
  async function tidyNowAndThen(): Promise<void> {
    if (steadySince !== undefined && performance.now() - tidiedAt < tidyMs) return
    tidiedAt = performance.now()
    await tidy()
  }

  async function tidy(): Promise<void> {
    try {
      steadySince ??= performance.now()
      // Where the store was away nobody could say that he lives: everybody gets as long to say it again.
      const graceMs = performance.now() - steadySince
      const patience = graceMs >= silentMs ? silentMs : Number.MAX_SAFE_INTEGER
      const entries = await store.abandonEntries(clock(), patience, onFault)
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

function createParts() {
  const words: Record<Part, string> = { heartbeat: 'ok', admissions: 'ok' }
  let asked: { readonly part: Part; readonly since: number } | undefined
  return {
    async watch(part: Part, ask: () => Promise<void>): Promise<void> {
      asked = { part, since: performance.now() }
      try {
        await ask()
        words[part] = 'ok'
      } catch (error) {
        words[part] = failureWords(error)
        throw error
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
