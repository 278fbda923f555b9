import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { isDisabled, isExpired, type User } from '#core/user.ts'
import type { UserStore } from '#storage/store.ts'

/**
 * No means no, now: whoever an administrator's change bars has their running streams cut as soon as the change is
 * written. The next request is refused by the store itself; this is for those that were let in before.
 */
export function withRevocation(
  users: UserStore,
  cutUser: (userId: string, problem: Problem) => void,
  clock: Clock,
): UserStore {
  function cutIfBarred(user: User): void {
    const now = clock()
    if (isDisabled(user, now)) {
      const why = user.disabledReason ? `: ${user.disabledReason}` : '.'
      cutUser(user.id, createProblem('user_disabled', `This access token was disabled${why}`))
    } else if (isExpired(user, now)) cutUser(user.id, createProblem('user_expired'))
  }
  return {
    ...users,
    async writeUsers(writes, now) {
      const result = await users.writeUsers(writes, now)
      if (result.kind === 'written') for (const user of result.users) cutIfBarred(user)
      return result
    },
    async disableUser(ref, reason, now) {
      const user = await users.disableUser(ref, reason, now)
      if (user) cutIfBarred(user)
      return user
    },
  }
}
