import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import { etagOf } from '#admin/request/etag.ts'
import { clear } from '#admin/request/token-sight.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { accessTokenSchemas } from './schemas.ts'
import { toRevealed } from './wire.ts'

/** POST /admin/users/{token}/reveal: shows one access token, and writes down who saw it. */
export const revealAccessToken: Operation = {
  need: 'tokens:reveal',
  tag: 'Access tokens',
  summary: 'Show the access token of a user',
  description: 'Who asked, when and from where is kept with the changes of the user.',
  request: { params: userPath, query: noParameters },
  answer: { description: 'The access token', schema: accessTokenSchemas.revealed, hasEtag: true },
  refusals: ['bad_request', 'not_found', 'conflict'],
  handle: (c, parts) =>
    withNamedUser(c, parts, async ({ id }) => {
      const result = await parts.store.users.revealToken({ id }, byOf(c, parts))
      if (result.kind === 'unknown') return refused(createProblem('not_found'))
      return answered(toRevealed(result.user, clear), { etag: etagOf(result.user) })
    }),
}
