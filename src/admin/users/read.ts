import { type AdminHandler, answerJson, answerProblem } from '#admin/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { createProblem } from '#core/errors.ts'
import { readUserRef } from './input.ts'

/** GET /admin/users/{token} */
export const readUser: AdminHandler = async (c, { store, clock, wire }) => {
  const ref = readUserRef(c)
  const now = clock()
  if (ref.kind === 'refused') return answerProblem(c, ref.problem, now)
  const user = await store.users.findUser(ref.value, now)
  if (!user) return answerProblem(c, createProblem('not_found'), now)
  c.set('userId', user.id)
  return answerJson(c, wire.toUser(user), { etag: etagOf(user) })
}
