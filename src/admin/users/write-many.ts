import { type AdminHandler, answerProblem } from '#admin/context.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { createTurns } from '#lib/turns.ts'
import { problemOf } from './input.ts'

/** PUT /admin/users: creates or merges many, all or none of them. */
export const writeUsers: AdminHandler = async (c, parts) => {
  const { store, clock, wire, bulkUsersMax } = parts
  const reading = await readJsonBody(c, parts, { member: 'users', itemsMax: bulkUsersMax })
  if (reading.kind === 'refused') return answerProblem(c, reading.problem, clock())
  const parsed = await wire.parseBulk(reading.kind === 'empty' ? {} : reading.value, bulkUsersMax)
  const now = clock()
  if (parsed.kind === 'too_many') {
    const message = `At most ${bulkUsersMax} users in one call: send them in several, or raise BULK_USERS_MAX.`
    return answerProblem(c, createProblem('body_too_large', message), now)
  }
  if (parsed.kind === 'invalid') return answerProblem(c, badInput(parsed.issues), now)
  const result = await store.users.writeUsers(parsed.value, now)
  if (result.kind !== 'written') return answerProblem(c, problemOf(result, `users[${result.index}]`), now)
  const users: string[] = []
  const turn = createTurns()
  for (const user of result.users) {
    users.push(JSON.stringify(wire.toUser(user)))
    await turn()
  }
  const headers = { 'content-type': 'application/json' }
  const rest = JSON.stringify({ count: users.length, ...toIgnored(parsed.ignored) }).slice(1)
  return c.body(`{"upserted_users":[${users.join(',')}],${rest}`, 200, headers)
}
