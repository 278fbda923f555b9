import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
} from '#admin/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { parseQuery } from '#admin/request/target.ts'
import { textField } from '#admin/wire/fields.ts'
import { createProblem } from '#core/errors.ts'
import { badInput, issuesUnder } from '#core/issues.ts'
import { parseBy } from '#core/parsed.ts'
import { type Reading, read, refused } from '#core/reading.ts'
import { disableEdit } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import { readUserRef } from './input.ts'
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
function readReason(c: AdminContext): Reading<string | undefined> {
  const query = parseQuery(c.get('target').query)
  if (query.kind === 'invalid') return refused(badInput([query]))
  const reason = parseBy(reasonField, query.values.get('disabledReason') || undefined)
  if (reason.kind === 'parsed') return read(reason.value)
  return refused(badInput(issuesUnder('disabledReason', reason.issues)))
}

const reasonField = textField(1000).optional()
