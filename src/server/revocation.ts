import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import type { UserBlock } from '#core/user.ts'
import { blockedFrom, isDisabled, isExpired } from '#core/user.ts'
import type { Gateway } from '#gateway/gateway.ts'
import type { UserStore } from '#storage/store.ts'

/**
 * Cuts the running streams of a user whom an administrator's change blocks, as soon as the change is written or at the
 * instant that it names. The admission itself refuses the next request; this is about requests that were admitted
 * before.
 */
export function withRevocation(
  users: UserStore,
  gateway: Pick<Gateway, 'cutUser' | 'blockUser'>,
  clock: Clock,
): UserStore {
  const look = (user: UserBlock) => cutIfBlocked(user, gateway, clock())
  return {
    ...users,
    async writeUsers(writes, now) {
      const result = await users.writeUsers(writes, now)
      if (result.kind === 'written') for (const user of result.users) look(user)
      return result
    },
    async disableUser(ref, reason, now) {
      const user = await users.disableUser(ref, reason, now)
      if (user) look(user)
      return user
    },
  }
}

/** Cuts the running streams of a user who is blocked now, or notes when the user will be. */
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
export function disabled(reason: string | undefined): Problem {
  return createProblem('user_disabled', `This access token was disabled${reason ? `: ${reason}` : '.'}`)
}
