import type { Clock } from '#core/clock.ts'
import type { MeteringStore, OnFault } from '#storage/store.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  /** How often this process says that it lives, and looks for those that do not. */
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
const everyMsDefault = 5_000
/** Entries whose fault is remembered as told. */
const toldMax = 10_000

/**
 * Says that this process lives, and closes what the dead have left open and leases that have run out. Resolves on
 * `close` when nothing is under way any more.
 */
export function openHeartbeat(
  store: Pick<MeteringStore, 'beat' | 'abandonEntries'>,
  options: HeartbeatOptions,
): { readonly close: () => Promise<void> } {
  const { clock, everyMs = everyMsDefault, silentMs = silentMsDefault } = options
  /** Since when every beat went through, by the clock that nobody sets; undefined while the store is away. */
  let steadySince: number | undefined
  let running: Promise<void> | undefined

  const told = new Set<string>()
  const onFault: OnFault = (requestId, error) => {
    if (told.size >= toldMax) told.clear()
    if (!told.has(requestId)) options.onFault?.(requestId, error)
    told.add(requestId)
  }

  async function beat(): Promise<void> {
    try {
      await store.beat(clock())
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

  const timer = setInterval(() => {
    running ??= beat().finally(() => {
      running = undefined
    })
  }, everyMs)
  timer.unref()
  return {
    close: async () => {
      clearInterval(timer)
      await running
    },
  }
}
