import type { AdmissionRequest, Decision } from './admission.ts'
import type { UserType } from './user.ts'

/** One question for admission, as a relay asks it. */
export interface AdmissionAsk extends AdmissionRequest {
  readonly requestId: string
  /** Who asks: the access token that was presented, or `userId` where the caller knows whose it was. */
  readonly accessToken?: string
  readonly userId?: string
  /** Which of the gateway's operations it is, for the ledger; e.g. `/v1/messages`. */
  readonly route: string
  /** False for what is recorded but costs nothing (counting). */
  readonly isMetered: boolean
  /**
   * The entry belongs to nobody's process but to this lease, epoch milliseconds: when it ends and nobody has
   * settled, the entry is abandoned.
   */
  readonly leaseUntil?: number
  /** Only asked: nothing is counted, reserved or noted, whatever the answer. */
  readonly isDry?: boolean
}

/** Who asked, where the access token was known. */
export interface AskedBy {
  readonly id: string
  readonly type: UserType
  readonly nickname: string | undefined
  readonly expiresAt: number | undefined
  /** When this user will be barred without anybody's doing: the expiry, or a `disabledAt` to come. */
  readonly barredFrom: number | undefined
}

export type AdmissionOutcome = Decision & { readonly user: AskedBy | undefined }
