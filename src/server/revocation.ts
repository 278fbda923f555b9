import { createProblem, type Problem } from '#core/errors.ts'
import type { UserBlock } from '#core/user.ts'
import { blockedFrom, isDisabled, isExpired } from '#core/user.ts'
import type { Gateway } from '#gateway/gateway.ts'

/**
 * Cuts the running streams of a user who is blocked now, or notes when the user will be. The admission itself refuses
 * the next request; this is about requests that were admitted before.
 */
export function cutIfBlocked(
  user: UserBlock,
  gateway: Pick<Gateway, 'cutUser' | 'blockUser'>,
  now: number,
): void {
  if (isDisabled(user, now)) gateway.cutUser(user.id, disabled(user.disabledReason))
  else if (isExpired(user, now)) gateway.cutUser(user.id, createProblem('user_expired'))
  else {
    const at = blockedFrom(user)
    const problem = at === user.expiresAt ? createProblem('user_expired') : disabled(user.disabledReason)
    gateway.blockUser(user.id, at === undefined ? undefined : { at, problem })
  }
}

/** The problem that ends a cut stream. */
function disabled(reason: string | undefined): Problem {
  return createProblem('user_disabled', `This access token was disabled${reason ? `: ${reason}` : '.'}`)
}
