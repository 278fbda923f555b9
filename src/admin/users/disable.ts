import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
  badInput,
} from '#admin/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { parseQuery } from '#admin/request/target.ts'
import { textField } from '#admin/wire/fields.ts'
import { createProblem } from '#core/errors.ts'
import { disableEdit } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import { type Input, readUserRef, refused } from './input.ts'
import { answerWritten, writeIfMatch } from './write.ts'

/** DELETE /admin/users/{token}: disables, with a reason where one is given. */
export const disableUser: AdminHandler = async (c, parts) => {
  const ref = readUserRef(c)
  if (ref.kind === 'refused') return answerProblem(c, ref.problem, parts.clock())
  const reason = readReason(c)
  if (reason.kind === 'refused') return answerProblem(c, reason.problem, parts.clock())
  if (c.req.header('if-match') !== undefined) return disableIfMatch(c, parts, ref.value, reason.value)
  const now = parts.clock()
  const user = await parts.store.users.disableUser(ref.value, reason.value, now)
  if (!user) return answerProblem(c, createProblem('not_found'), now)
  c.set('userId', user.id)
  return answerJson(c, parts.wire.toUser(user), { etag: etagOf(user) })
}

/** What disabling changes depends on the user as it stands, and `If-Match` makes sure that it still stands so. */
async function disableIfMatch(
  c: AdminContext,
  parts: AdminParts,
  ref: UserRef,
  reason: string | undefined,
): Promise<Response> {
  const now = parts.clock()
  const user = await parts.store.users.findUser(ref, now)
  if (!user) return answerProblem(c, createProblem('not_found'), now)
  return answerWritten(
    c,
    parts,
    await writeIfMatch(c, parts, { id: user.id }, disableEdit(user, reason, now)),
  )
}

/** An empty reason is none: a form that was left blank must not take the first one away. */
function readReason(c: AdminContext): Input<string | undefined> {
  const query = parseQuery(c.get('target').query)
  if (query.kind === 'invalid') return refused(badInput([query]))
  const parsed = reasonField.safeParse(query.values.get('disabledReason') || undefined)
  if (parsed.success) return { kind: 'read', value: parsed.data }
  const issues = parsed.error.issues.map(({ message }) => ({ path: 'disabledReason', message }))
  return refused(badInput(issues))
}

const reasonField = textField(1000).optional()
