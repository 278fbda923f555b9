import type { By } from '#core/change.ts'
import type { Claim, NewClaim } from '#core/claim.ts'
import type { ConfiguredOpeners } from '#core/session.ts'
import type { User, UserBlock } from '#core/user.ts'

/** An open link, and what its holder may know before confirming. */
interface OpenClaim {
  readonly claim: Claim
  readonly user: Pick<User, 'id' | 'nickname' | 'disabledAt' | 'disabledReason' | 'expiresAt'>
}

export type ClaimTaken =
  | {
      readonly kind: 'taken'
      readonly user: Pick<User, 'id' | 'accessToken' | 'nickname'>
      /** Where the access token is another one now: until when the one before works on. */
      readonly previousUntil?: number
    }
  /** The link stays open: it works again as soon as the user is not blocked any more. */
  | { readonly kind: 'blocked'; readonly user: UserBlock }
  /** Unknown, used, expired or revoked. */
  | { readonly kind: 'ended' }

/**
 * Links that show an access token once.
 * @param openers of the configuration, with which links were made
 */
export interface ClaimStore {
  /** Makes a link, and revokes an open one of the same user. Undefined where the user does not exist. */
  readonly insertClaim: (claim: NewClaim, by: By, openers?: ConfiguredOpeners) => Promise<Claim | undefined>
  /** Those of a user that are kept: the open one, then from the newest on. */
  readonly listClaims: (userId: string, now: number, openers?: ConfiguredOpeners) => Promise<readonly Claim[]>
  /** Revokes a user's link; one that has ended stays as it is. Undefined where the user has no such link. */
  readonly revokeClaim: (
    userId: string,
    id: string,
    by: By,
    openers?: ConfiguredOpeners,
  ) => Promise<Claim | undefined>
  /** The open link with this code; nothing of it is used up. */
  readonly findClaim: (
    code: string,
    now: number,
    openers?: ConfiguredOpeners,
  ) => Promise<OpenClaim | undefined>
  /** Uses the link up and shows the access token: of any number of calls one gets it. */
  readonly takeClaim: (
    code: string,
    by: Omit<By, 'actor'>,
    openers?: ConfiguredOpeners,
  ) => Promise<ClaimTaken>
}
