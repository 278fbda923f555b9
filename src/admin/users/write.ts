import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import type { Answer } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { ifMatchHeader, parseIfMatch } from '#admin/request/etag.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { UsersWritten } from '#storage/store/users.ts'
import { answerUser, describeUser } from './answer.ts'
import { unlessDamaged } from './damaged.ts'
import { problemOf, readUserRef } from './input.ts'
import { userPath } from './schemas.ts'
import type { UserWire } from './wire.ts'

/** PUT /admin/users/{token}: creates or merges one user. */
export function writeUser(wire: UserWire): Operation {
  const { schemas } = wire
  return {
    need: 'users:write',
    summary: 'Update a user by token',
    description:
      'Creates the user where the token is unknown; an unknown id is 404. Maps merge by family. A `token` in the ' +
      'body that is not the path’s is 400. A user whose stored row is damaged is 409: only DELETE changes it.',
    request: { params: userPath, headers: ifMatchHeader, body: jsonBody(schemas.edit) },
    answer: { ...describeUser(wire, 'The updated user'), schema: schemas.written },
    refusals: [...bodyRefusals, 'not_found', 'conflict', 'precondition_failed'],
    async handle(c, parts) {
      const ref = readUserRef(c)
      if (ref.kind === 'refused') return ref
      const input = await readParsed(c, parts, wire.parseEdit)
      if (input.kind === 'refused') return input
      const { edit, accessToken, ignored } = input.value
      return unlessDamaged(c, parts, ref.value, async () => {
        if (await meansAnother(c, parts, ref.value, accessToken)) return refused(badInput([anotherToken]))
        return answerWritten(c, wire, await writeIfMatch(c, parts, ref.value, edit), ignored)
      })
    },
  }
}

const anotherToken = {
  path: 'token',
  message:
    'is not the token that the path names, and a token cannot be changed: leave it out, or create a user with the new one',
}

/**
 * Whether the body's access token differs from the path's: a caller who means to change it must not believe that it
 * was changed. Where the path holds an id, the body may hold the same id. A caller who sees tokens masked may send back
 * what it was shown.
 */
async function meansAnother(
  c: AdminContext,
  { store, clock }: AdminParts,
  ref: UserRef,
  said: string | undefined,
): Promise<boolean> {
  if (said === undefined) return false
  const { show } = tokenSightOf(c)
  const isOf = (accessToken: string) => said === accessToken || said === show(accessToken)
  if ('accessToken' in ref) return !isOf(ref.accessToken)
  if (said === ref.id) return false
  const user = await store.users.findUser(ref, clock())
  return user !== undefined && !isOf(user.accessToken)
}

/** Writes one user if the request's `If-Match` allows it. */
export async function writeIfMatch(
  c: AdminContext,
  parts: AdminParts,
  ref: UserRef,
  edit: UserEdit,
): Promise<UsersWritten> {
  const { store } = parts
  const by = byOf(c, parts)
  const allowed = parseIfMatch(c.req.header('if-match'))
  if (allowed === undefined) return store.users.writeUsers([{ ref, edit }], by)
  if (allowed === 'any') return store.users.writeUsers([{ ref, edit, expectedRevision: allowed }], by)
  // Of several tags only the user's current one can match; the store checks that it is still current.
  const current = await store.users.findUser(ref, by.now)
  if (!current && 'id' in ref) return { kind: 'unknown', index: 0 }
  if (!current || !allowed.includes(current.revision)) return { kind: 'stale', index: 0 }
  return store.users.writeUsers([{ ref, edit, expectedRevision: current.revision }], by)
}

/** @param ignored unknown members of the body */
export function answerWritten(
  c: AdminContext,
  wire: UserWire,
  result: UsersWritten,
  ignored: readonly string[] = [],
): Answer {
  if (result.kind !== 'written') return refused(problemOf(result, ''))
  return answerUser(c, wire, result.users[0], ignored)
}
