import type { Config } from '#config/settings.ts'
import type { Clock } from '#core/clock.ts'
import type { Log } from '#http/log.ts'
import type { Stopper } from '#lib/stopper.ts'
import type { Store } from '#storage/store.ts'

/** What a process opens first. */
export interface Foundation {
  readonly config: Config
  /** The id of this process. */
  readonly instance: string
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Closes in reverse what was added to it. */
  readonly stopper: Stopper
  /** For failures of the store. */
  readonly onFailure: (error: unknown) => void
}
