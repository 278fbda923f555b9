import type { Clock } from '#core/clock.ts'
import type { CorrectionStore } from '#storage/store.ts'
import type { InputCorrections } from './input-corrections.ts'

/** Keeps what this process learns of the models' input, and takes over what others learn: now and then, in the background. */
export interface InputExchangeOptions {
  readonly clock: Clock
  readonly everyMs?: number
  readonly onFailure?: (error: unknown) => void
}

export interface InputExchange {
  /** Writes and reads now. Never rejects. */
  readonly exchange: () => Promise<void>
  /** Writes what is left; waits no longer than a moment for a store that is away. */
  readonly close: () => Promise<void>
}

const everyMsDefault = 10_000
const rowsAtOnce = 200
/** What was written by an instance whose clock is behind, or in a transaction that took its time. */
const overlapMs = 60_000

/** Resolves when what was stored has been read; where that fails it is read later. */
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
