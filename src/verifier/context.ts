import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import type { BodyBudget } from '#http/body.ts'
import type { Log } from '#http/log.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Meter } from '#metering/meter.ts'
import type { AdminKeyStore, MeteringStore } from '#storage/store.ts'

/** What every handler of the verifier works with. */
export interface VerifierContext {
  readonly meter: Meter
  readonly adminKeys: Pick<AdminKeyStore, 'findAdminKey'>
  readonly metering: Pick<MeteringStore, 'renewLease'>
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  /** The gateway's own: whoever guesses access tokens is one guesser, wherever it is tried. */
  readonly throttle: Throttle
  /** For wrong verifier keys. */
  readonly keyThrottle: Throttle
  readonly bodyBytesMax: number
  /** What bodies may hold while they are read, together with those of the other planes. */
  readonly bodyBudget?: BodyBudget
  /** How long an answer waits for its settlement at most. */
  readonly settleWaitMs: number
}
