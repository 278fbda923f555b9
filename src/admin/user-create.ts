import { createHash } from 'node:crypto'
import { createProblem, type Issue } from '#core/errors.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { Repeat } from '#storage/store.ts'
import { canonicalJson } from './canonical-json.ts'
import { type AdminContext, type AdminHandler, answerJson, answerProblem, badInput } from './context.ts'
import { etagOf } from './etag.ts'
import { type Input, readUserEdit, refused } from './user-input.ts'

/** POST /admin/users: a new user with a fresh access token; safe to repeat under an `Idempotency-Key`. */
export const createUser: AdminHandler = async (c, parts) => {
  const { store, clock } = parts
  const edit = await readUserEdit(c, parts)
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
      return answerProblem(
        c,
        createProblem('conflict', 'This Idempotency-Key was used for another request.'),
        now,
      )
    case 'created': {
      const { user } = result
      c.set('userId', user.id)
      const replayed = result.repeated ? { 'idempotency-replayed': 'true' } : {}
      const headers = { etag: etagOf(user), location: `/admin/users/${user.id}`, ...replayed }
      return answerJson(c, parts.wire.toCreated(user), headers)
    }
  }
}

/** A temporary user has to have a time to live; by PUT, where exports come back, it may lie in the past. */
function expiryIssues({ type, expiresAt }: UserEdit, now: number): readonly Issue[] {
  if (type !== 'temporary' || (typeof expiresAt === 'number' && expiresAt > now)) return []
  return [
    { path: 'expiresAt', message: 'a temporary user needs expiresAt, in epoch milliseconds, in the future' },
  ]
}

/** The key belongs to the admin key that sent it, so that two administrators cannot get each other's answers. */
function readRepeat(c: AdminContext, edit: UserEdit): Input<Repeat | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return { kind: 'read', value: undefined }
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    const message = 'must be 1 to 255 visible ASCII characters'
    return refused(badInput([{ path: 'Idempotency-Key', message }]))
  }
  const fingerprint = createHash('sha256').update(canonicalJson(edit)).digest('base64url')
  return { kind: 'read', value: { key: `${c.get('adminKey')?.id ?? ''}:${key}`, fingerprint } }
}
