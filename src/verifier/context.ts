import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import type { BodyBudget } from '#http/body.ts'
import type { CredentialReader } from '#http/credential.ts'
import type { Log } from '#http/log.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Ledger } from '#metering/ledger.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/** The parts that every handler of the verifier uses. */
export interface VerifierContext {
  readonly ledger: Ledger
  readonly adminKeys: Pick<AdminKeyStore, 'findAdminKey'>
  /** Notes that an admin key has opened something. */
  readonly keyUsed: (id: string) => void
  readonly metering: Pick<MeteringStore, 'renewLease'>
  readonly policy: Policy
  /** Reads the access token of a client. */
  readonly credentialOf: CredentialReader
  readonly clock: Clock
  readonly log: Log
  /** Shared with the gateway: guesses at access tokens count together on both planes. */
  readonly throttle: Throttle
  /** For wrong verifier keys. */
  readonly keyThrottle: Throttle
  readonly bodyBytesMax: number
  /** The memory of bodies that are being read, shared with the other planes. */
  readonly bodyBudget?: BodyBudget
  /** How long an answer waits for its settlement at most. */
  readonly settleWaitMs: number
}
