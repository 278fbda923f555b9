import type { Operation } from '#admin/operation.ts'
import { type Answer, answered } from '#admin/request/answer.ts'
import type { AdminContext } from '#admin/request/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { User } from '#core/user.ts'
import { isUserId } from '#core/user-id.ts'
import { nameInPath } from './input.ts'
import type { UserWire } from './wire.ts'

/**
 * The answer for one user, with its current version as ETag; also notes the user's id for the log.
 * @param user undefined where the user does not exist
 * @param ignored unknown members of the body
 */
export function answerUser(
  c: AdminContext,
  { toUser }: UserWire,
  user: User | undefined,
  ignored: readonly string[] = [],
): Answer {
  if (!user) return refused(createProblem('not_found'))
  c.set('userId', user.id)
  const sight = tokenSightOf(c)
  // Of a request that names the user by access token the answer tells no other.
  if (!sight.isMasked && isUserId(nameInPath(c))) c.set('tokensShown', [user.id])
  return answered({ ...toUser(user, sight), ...toIgnored(ignored) }, { etag: etagOf(user) })
}

/** The same in the API's description. */
export function describeUser({ schemas }: UserWire, description: string): Operation['answer'] {
  return { description, schema: schemas.user, hasEtag: true }
}
