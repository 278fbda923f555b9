import { type AdminHandler, answerJson, answerProblem } from '#admin/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { readRepeat, repeatConflict } from '#admin/request/idempotency.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem, type Issue } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { readUserEdit } from './input.ts'

/** POST /admin/users: a new user with a fresh access token; safe to repeat under an `Idempotency-Key`. */
export const createUser: AdminHandler = async (c, parts) => {
  const { store, clock } = parts
  const edit = await readUserEdit(c, parts, parts.wire.parseNew)
  if (edit.kind === 'refused') return answerProblem(c, edit.problem, clock())
  const repeat = readRepeat(c, edit.value)
  if (repeat.kind === 'refused') return answerProblem(c, repeat.problem, clock())
  const now = clock()
  const issues = expiryIssues(edit.value, now)
  if (issues.length > 0) return answerProblem(c, badInput(issues), now)
  const result = await store.users.insertUser(edit.value, now, repeat.value)
  switch (result.kind) {
    case 'invalid':
      return answerProblem(c, badInput(result.issues), now)
    case 'conflict':
      return answerProblem(c, createProblem('conflict', repeatConflict), now)
    case 'created': {
      const { user } = result
      c.set('userId', user.id)
      const replayed = result.repeated ? { 'idempotency-replayed': 'true' } : {}
      const headers = { etag: etagOf(user), location: `/admin/users/${user.id}`, ...replayed }
      return answerJson(c, { ...parts.wire.toCreated(user), ...toIgnored(edit.ignored) }, headers)
    }
  }
}

/** A temporary user has to have a time to live; by PUT, where exports come back, it may lie in the past. */
function expiryIssues({ type, expiresAt }: UserEdit, now: number): readonly Issue[] {
  if (type !== 'temporary' || (typeof expiresAt === 'number' && expiresAt > now)) return []
  return [
    {
      path: 'expiresAt',
      message:
        'a temporary user needs expiresAt, in the future: epoch milliseconds, or a time with its offset such as 2026-11-22T13:00:00Z',
    },
  ]
}
