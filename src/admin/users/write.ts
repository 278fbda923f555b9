import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
} from '#admin/context.ts'
import { etagOf, parseIfMatch } from '#admin/request/etag.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { UsersWritten } from '#storage/store.ts'
import { problemOf, readUserEdit, readUserRef } from './input.ts'

/** PUT /admin/users/{token}: creates or merges. */
export const writeUser: AdminHandler = async (c, parts) => {
  const ref = readUserRef(c)
  if (ref.kind === 'refused') return answerProblem(c, ref.problem, parts.clock())
  const edit = await readUserEdit(c, parts, parts.wire.parseEdit)
  if (edit.kind === 'refused') return answerProblem(c, edit.problem, parts.clock())
  if (await meansAnother(parts, ref.value, edit.accessToken)) {
    const message =
      'is not the token that the path names, and a token cannot be changed: leave it out, or create a user with the new one'
    return answerProblem(c, badInput([{ path: 'token', message }]), parts.clock())
  }
  const written = await writeIfMatch(c, parts, ref.value, edit.value)
  return answerWritten(c, parts, written, edit.ignored)
}

/**
 * Whether the body's access token is another than the path's: a caller who means to change it must not believe that it
 * is done. An id that the path names may stand in the body as well.
 */
async function meansAnother(
  { store, clock }: AdminParts,
  ref: UserRef,
  said: string | undefined,
): Promise<boolean> {
  if (said === undefined) return false
  if ('accessToken' in ref) return said !== ref.accessToken
  if (said === ref.id) return false
  const user = await store.users.findUser(ref, clock())
  return user !== undefined && user.accessToken !== said
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

/** @param ignored members of the body that are not known */
export function answerWritten(
  c: AdminContext,
  { clock, wire }: AdminParts,
  result: UsersWritten,
  ignored: readonly string[] = [],
): Response {
  if (result.kind !== 'written') return answerProblem(c, problemOf(result, ''), clock())
  const [user] = result.users
  if (!user) return answerProblem(c, createProblem('not_found'), clock())
  c.set('userId', user.id)
  return answerJson(c, { ...wire.toUser(user), ...toIgnored(ignored) }, { etag: etagOf(user) })
}
