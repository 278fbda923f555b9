import type { Operation } from '#admin/operation.ts'
import { type Answer, answered } from '#admin/request/answer.ts'
import type { AdminContext } from '#admin/request/context.ts'
import { etagOf } from '#admin/request/etag.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { User } from '#core/user.ts'
import type { UserWire } from './wire.ts'

/**
 * The answer that is one user, as it stands and with its version; the log is told which.
 * @param user undefined where there is no such user
 * @param ignored members of the body that are not known
 */
export function answerUser(
  c: AdminContext,
  { toUser }: UserWire,
  user: User | undefined,
  ignored: readonly string[] = [],
): Answer {
  if (!user) return refused(createProblem('not_found'))
  c.set('userId', user.id)
  return answered({ ...toUser(user), ...toIgnored(ignored) }, { etag: etagOf(user) })
}

/** The same as the API's description says it. */
export function describeUser({ schemas }: UserWire, description: string): Operation['answer'] {
  return { description, schema: schemas.user, hasEtag: true }
}
