import type { Answer } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { createProblem, type Issue, type Problem } from '#core/errors.ts'
import { badInput, issuesUnder } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { User } from '#core/user.ts'
import { isUserId } from '#core/user-id.ts'
import type { UserRef } from '#core/user-ref.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { read } from '#lib/reading.ts'
import type { UsersWritten } from '#storage/store/users.ts'
import { unlessDamaged } from './damaged.ts'
import { accessTokenIssues } from './wire.ts'

/** The segment that names a user, as it was sent: /admin/users/{token}, with or without more behind. */
export function nameInPath(c: AdminContext): string {
  return c.get('target').path.split('/')[3] ?? ''
}

/** The user in the path, named by access token or by id. */
export function readUserRef(c: AdminContext): Reading<UserRef> {
  const name = percentDecoded(nameInPath(c))
  if (name === undefined)
    return refused(badInput([{ path: 'token', message: 'the path holds a broken percent-escape' }]))
  if (isUserId(name)) return read({ id: name })
  const issues = accessTokenIssues(name, tokenSightOf(c))
  if (issues.length > 0) return refused(badInput(issuesUnder('token', issues)))
  return read({ accessToken: name })
}

/**
 * Works on the user in the path, whose id it also notes for the log. 409 if the stored row of the user is damaged.
 */
export async function withNamedUser(
  c: AdminContext,
  parts: AdminParts,
  work: (user: User) => Promise<Answer>,
): Promise<Answer> {
  const ref = readUserRef(c)
  return ref.kind === 'refused' ? ref : withUser(c, parts, ref.value, work)
}

/** The same for a user who is named elsewhere. */
export function withUser(
  c: AdminContext,
  parts: AdminParts,
  ref: UserRef,
  work: (user: User) => Promise<Answer>,
): Promise<Answer> {
  return unlessDamaged(c, parts, ref, async () => {
    const user = await parts.store.users.findUser(ref, parts.clock())
    if (!user) return refused(createProblem('not_found'))
    c.set('userId', user.id)
    return work(user)
  })
}

/** The store's issues, with the field names of the wire. */
export function toWireIssues(issues: readonly Issue[]): readonly Issue[] {
  return issues.map(({ path, message }) => ({ path: path.replace(/^quotaUsed\b/, 'tokenCounts'), message }))
}

/** The problem for a write that the store refused. */
export function problemOf(
  result: Exclude<UsersWritten, { readonly kind: 'written' }>,
  place: string,
): Problem {
  switch (result.kind) {
    case 'unknown':
      return createProblem('not_found')
    case 'stale':
      return createProblem('precondition_failed')
    case 'invalid':
      return badInput(
        place === '' ? toWireIssues(result.issues) : issuesUnder(place, toWireIssues(result.issues)),
      )
  }
}
