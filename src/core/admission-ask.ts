import type { AdmissionRequest, Decision } from './admission.ts'
import type { AskedPerson } from './front-end.ts'
import type { UserType } from './user.ts'

/** One question for admission, from a relay or another gateway. */
export interface AdmissionAsk extends AdmissionRequest {
  readonly requestId: string
  /** The user: the access token that was presented, or `userId` where the caller knows it. */
  readonly accessToken?: string
  readonly userId?: string
  /** The gateway's operation, for the ledger; e.g. `/v1/messages`. */
  readonly route: string
  /** False for requests that are recorded but cost nothing (counting tokens). */
  readonly isMetered: boolean
  /**
   * The entry belongs to a lease that ends at this instant, epoch milliseconds, and not to a process: an entry that is
   * not settled by then is abandoned.
   */
  readonly leaseUntil?: number
  /**
   * The person behind the request, where the access token is a front end's. `unread`: whether it is one is not known yet.
   * Absent: the request is the user's own, whatever the user is.
   */
  readonly person?: AskedPerson | 'unread'
  /** Decides only: the question is not counted, reserves nothing and writes nothing. */
  readonly isDry?: boolean
}

/** The user of a known access token. */
export interface AdmittedUser {
  readonly id: string
  readonly type: UserType
  readonly nickname: string | undefined
  readonly expiresAt: number | undefined
  /** When this user will be blocked without a further change: the expiry, or a `disabledAt` in the future. */
  readonly blockedFrom: number | undefined
  /** When the access token that was presented ends, where it is the one before a rotation. */
  readonly tokenUntil?: number
}

export type AdmissionOutcome = Decision & {
  /** The user that the request counts as, and whose limit refused it. */
  readonly user: AdmittedUser | undefined
  /** The front end that an admitted person asked through. */
  readonly through?: AdmittedUser
  /**
   * The request was refused only because its access token is a front end's, and the person was not read, or by other
   * settings than the present ones. With the person it may be asked again.
   */
  readonly unread?: Pick<AskedPerson, 'frontEndId' | 'version'>
}
