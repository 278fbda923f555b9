import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { claimSchemas } from './schemas.ts'
import { toClaimAnswer } from './wire.ts'

/** GET /admin/users/{token}/claims: the links of a user, and what became of them. */
export const listClaims: Operation = {
  need: 'users:read',
  tag: 'Claim links',
  summary: 'List the links of a user',
  description:
    'The open one, then from the newest on: the last ten, until 30 days after the end of each. From where one was used ' +
    'stands in the audit trail.',
  request: { params: userPath, query: noParameters },
  answer: { description: 'The links, without their codes', schema: claimSchemas.list },
  refusals: ['bad_request', 'not_found', 'conflict'],
  handle: (c, parts) =>
    withNamedUser(c, parts, async ({ id }) => {
      const claims = await parts.store.claims.listClaims(id, parts.clock())
      return answered({ claims: claims.map(toClaimAnswer), count: claims.length })
    }),
}
