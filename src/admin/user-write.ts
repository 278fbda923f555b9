import { createProblem } from '#core/errors.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserRef, UsersWritten } from '#storage/store.ts'
import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
} from './context.ts'
import { etagOf, parseIfMatch } from './etag.ts'
import { problemOf, readUserEdit, readUserRef } from './user-input.ts'

/** PUT /admin/users/{token}: creates or merges. */
export const writeUser: AdminHandler = async (c, parts) => {
  const ref = readUserRef(c)
  if (ref.kind === 'refused') return answerProblem(c, ref.problem, parts.clock())
  const edit = await readUserEdit(c, parts)
  if (edit.kind === 'refused') return answerProblem(c, edit.problem, parts.clock())
  return answerWritten(c, parts, await writeIfMatch(c, parts, ref.value, edit.value))
}

/** Writes one user, if the request's `If-Match` allows it. */
export async function writeIfMatch(
  c: AdminContext,
  { store, clock }: AdminParts,
  ref: UserRef,
  edit: UserEdit,
): Promise<UsersWritten> {
  const now = clock()
  const allowed = parseIfMatch(c.req.header('if-match'))
  if (allowed === undefined) return store.users.writeUsers([{ ref, edit }], now)
  if (allowed === 'any') return store.users.writeUsers([{ ref, edit, expectedRevision: allowed }], now)
  // Of several tags only the one that the user stands at can hold; the store checks that it still does.
  const current = await store.users.findUser(ref, now)
  if (!current && 'id' in ref) return { kind: 'unknown', index: 0 }
  if (!current || !allowed.includes(current.revision)) return { kind: 'stale', index: 0 }
  return store.users.writeUsers([{ ref, edit, expectedRevision: current.revision }], now)
}

export function answerWritten(c: AdminContext, { clock, wire }: AdminParts, result: UsersWritten): Response {
  if (result.kind !== 'written') return answerProblem(c, problemOf(result, ''), clock())
  const [user] = result.users
  if (!user) return answerProblem(c, createProblem('not_found'), clock())
  c.set('userId', user.id)
  return answerJson(c, wire.toUser(user), { etag: etagOf(user) })
}
