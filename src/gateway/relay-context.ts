import type { Clock } from '#core/clock.ts'
import type { Problem } from '#core/errors.ts'
import type { Family } from '#core/family.ts'
import type { Log } from '#http/log.ts'
import type { InputCorrections } from '#metering/input-corrections.ts'
import type { Ledger } from '#metering/ledger.ts'
import type { Upstreams } from '#upstreams/open.ts'
import type { Relays } from './relays.ts'
import type { Unserved } from './unserved.ts'

/** What all relays of a gateway share. */
export interface RelayContext {
  readonly corrections: Pick<InputCorrections, 'factorsOf' | 'learn' | 'learnHidden'>
  /** In the order in which they are tried. */
  readonly families: readonly Family[]
  readonly ledger: Ledger
  readonly upstreams: Upstreams
  readonly relays: Relays
  readonly clock: Clock
  readonly log: Log
  /**
   * What happens to an answer whose client has disconnected: abort it, or read it to the end for the provider's figures.
   */
  readonly onDisconnect: 'abort' | 'drain'
  /** The limits of this reading to the end. */
  readonly drainBytesMax: number
  readonly drainMs: number
  /** A client that reads nothing for so long is disconnected. */
  readonly stalledMs: number
  /** A stream that is silent for so long gets a comment; 0: never. */
  readonly keepAliveMs: number
  /** The longest that an answer's end waits for its settlement. */
  readonly settleWaitMs: number
  /** Told of models that no upstream serves. */
  readonly unserved: Unserved
}

/** How a relay ended. With `gone` and `cut` the upstream was still working and is stopped. */
export type Ending =
  | { readonly kind: 'complete' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'cut'; readonly problem: Problem }
  | {
      readonly kind: 'failed'
      readonly problem: Problem
      /** The upstream failed while it may have been at work. */
      readonly mayHaveCost: boolean
    }
