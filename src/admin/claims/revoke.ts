import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { claimSchemas } from './schemas.ts'
import { toClaimAnswer } from './wire.ts'

/** DELETE /admin/users/{token}/claims/{id}: the link opens nothing any more. */
export const revokeClaim: Operation = {
  need: 'users:write',
  tag: 'Claim links',
  summary: 'Revoke a link',
  description: 'At once. One that was used or has ended before stays as it is, and the answer says so.',
  request: { params: claimSchemas.path, query: noParameters },
  answer: { description: 'The link as it stands now', schema: claimSchemas.answer },
  refusals: ['bad_request', 'not_found', 'conflict'],
  handle: (c, parts) =>
    withNamedUser(c, parts, async ({ id: userId }) => {
      const id = percentDecoded(c.get('target').path.split('/')[5] ?? '') ?? ''
      const claim = await parts.store.claims.revokeClaim(userId, id, byOf(c, parts))
      return claim ? answered(toClaimAnswer(claim)) : refused(createProblem('not_found'))
    }),
}
