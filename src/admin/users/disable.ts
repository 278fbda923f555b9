import { z } from '@hono/zod-openapi'
import type { Operation } from '#admin/operation.ts'
import { type Answer, answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { ifMatchHeader } from '#admin/request/etag.ts'
import { readQuery } from '#admin/request/query.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { textField } from '#admin/wire/fields.ts'
import { textPattern } from '#admin/wire/patterns.ts'
import { createProblem } from '#core/errors.ts'
import { issuesUnder } from '#core/issues.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import type { UnreadableUser } from '#core/user.ts'
import { disableEdit } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import { answerUser, describeUser } from './answer.ts'
import { unlessDamaged } from './damaged.ts'
import { readUserRef } from './input.ts'
import { userPath } from './schemas.ts'
import { toUnreadable, type UserWire } from './wire.ts'
import { answerWritten, writeIfMatch } from './write.ts'

/** DELETE /admin/users/{token}: disables the user, with an optional reason. */
export function disableUser(wire: UserWire): Operation {
  return {
    need: 'users:write',
    summary: 'Disables the user with the given token',
    description:
      'Disabling again keeps the first `disabledAt`. PUT with `disabledAt: null` enables again. A user whose stored row is ' +
      'damaged is disabled as well: the answer then holds what can be read of it. With `If-Match` such a user is 409, since ' +
      'no version can be compared.',
    request: {
      params: userPath,
      headers: ifMatchHeader,
      query: z.object({ disabledReason: z.string().max(1000).optional().openapi({ pattern: textPattern }) }),
    },
    answer: {
      ...describeUser(wire, 'The disabled user'),
      schema: z.union([wire.schemas.user, wire.schemas.partial]),
    },
    refusals: ['bad_request', 'not_found', 'conflict', 'precondition_failed'],
    async handle(c, parts) {
      const ref = readUserRef(c)
      if (ref.kind === 'refused') return ref
      const reason = readQuery(c, parseReason)
      if (reason.kind === 'refused') return reason
      if (c.req.header('if-match') !== undefined)
        return unlessDamaged(c, parts, ref.value, () =>
          disableIfMatch(c, parts, wire, { ref: ref.value, reason: reason.value }),
        )
      const user = await parts.store.users.disableUser(ref.value, reason.value, byOf(c, parts))
      return user && 'isUnreadable' in user ? answerUnreadable(c, parts, user) : answerUser(c, wire, user)
    },
  }
}

/**
 * The user is disabled although the row is damaged. The answer holds what can be read; the operator has to repair the
 * row.
 */
function answerUnreadable(c: AdminContext, { log }: AdminParts, user: UnreadableUser): Answer {
  c.set('userId', user.id)
  log.error(
    { requestId: c.get('requestId'), unreadable: [user.id] },
    'a user whose row cannot be read was disabled',
  )
  return answered(toUnreadable(user, tokenSightOf(c)))
}

/** The change depends on the user's current state, and `If-Match` makes sure that it is still current. */
async function disableIfMatch(
  c: AdminContext,
  parts: AdminParts,
  wire: UserWire,
  { ref, reason }: { readonly ref: UserRef; readonly reason: string | undefined },
): Promise<Answer> {
  const now = parts.clock()
  const user = await parts.store.users.findUser(ref, now)
  if (!user) return refused(createProblem('not_found'))
  const edit = disableEdit(user, reason, now)
  return answerWritten(c, wire, await writeIfMatch(c, parts, { id: user.id }, edit))
}

/** An empty reason counts as absent: a form left blank must not erase the first reason. */
function parseReason(values: ReadonlyMap<string, string>): Parsed<string | undefined> {
  const reason = parseBy(reasonField, values.get('disabledReason') || undefined)
  if (reason.kind === 'read') return reason
  return { kind: 'invalid', issues: issuesUnder('disabledReason', reason.issues) }
}

const reasonField = textField(1000).optional()
