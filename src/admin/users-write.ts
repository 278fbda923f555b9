import { createProblem } from '#core/errors.ts'
import { type AdminHandler, answerJson, answerProblem, badInput } from './context.ts'
import { readJsonBody } from './json-body.ts'
import { toIgnored } from './unknown-members.ts'
import { problemOf } from './user-input.ts'

/** PUT /admin/users: creates or merges many, all or none of them. */
export const writeUsers: AdminHandler = async (c, { store, clock, wire, bulkUsersMax, bodyBytesMax }) => {
  const reading = await readJsonBody(c, bodyBytesMax)
  if (reading.kind === 'refused') return answerProblem(c, reading.problem, clock())
  const parsed = wire.parseBulk(reading.kind === 'empty' ? {} : reading.value, bulkUsersMax)
  const now = clock()
  if (parsed.kind === 'too_many') {
    const message = `At most ${bulkUsersMax} users in one call: send them in several, or raise BULK_USERS_MAX.`
    return answerProblem(c, createProblem('body_too_large', message), now)
  }
  if (parsed.kind === 'invalid') return answerProblem(c, badInput(parsed.issues), now)
  const result = await store.users.writeUsers(parsed.value, now)
  if (result.kind !== 'written') return answerProblem(c, problemOf(result, `users[${result.index}]`), now)
  const users = result.users.map(wire.toUser)
  return answerJson(c, { upserted_users: users, count: users.length, ...toIgnored(parsed.ignored) })
}
