import type { Clock } from '#core/clock.ts'
import type { CorrectionStore } from '#storage/store.ts'
import type { InputCorrections } from './input-corrections.ts'

/**
 * Stores what this process learns of the models' input, and takes over what other instances learn, at intervals in the
 * background.
 */
export interface InputExchangeOptions {
  readonly clock: Clock
  readonly everyMs?: number
  readonly onFailure?: (error: unknown) => void
}

export interface InputExchange {
  /** Writes and reads now. Never rejects. */
  readonly exchange: () => Promise<void>
  /** Stops the timer, and tries once to write what is left. */
  readonly close: () => Promise<void>
}

const everyMsDefault = 10_000
const rowsAtOnce = 200
/** Reads overlap by this much, for rows of an instance whose clock is behind or of a slow transaction. */
const overlapMs = 60_000

/** Resolves after the first read of what is stored; if that fails, it is read later. */
export async function openInputExchange(
  store: CorrectionStore,
  corrections: InputCorrections,
  { clock, everyMs = everyMsDefault, onFailure }: InputExchangeOptions,
): Promise<InputExchange> {
  let readUpTo = 0
  let running: Promise<void> | undefined

  async function write(): Promise<void> {
    for (;;) {
      const changed = corrections.takeChanged(rowsAtOnce)
      if (changed.length === 0) return
      try {
        await store.writeCorrections(changed, clock())
      } catch (error) {
        corrections.putBack(changed)
        throw error
      }
    }
  }

  async function read(): Promise<void> {
    const now = clock()
    corrections.merge(await store.readCorrections(readUpTo - overlapMs))
    readUpTo = now
  }

  async function both(): Promise<void> {
    try {
      await write()
      await read()
    } catch (error) {
      onFailure?.(error)
    }
  }

  function exchange(): Promise<void> {
    running ??= both().finally(() => {
      running = undefined
    })
    return running
  }

  await exchange()
  const timer = setInterval(() => void exchange(), everyMs).unref()
  return {
    exchange,
    async close() {
      clearInterval(timer)
      await running
      await write().catch((error: unknown) => onFailure?.(error))
    },
  }
}
