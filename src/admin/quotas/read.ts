import type { Operation } from '#admin/operation.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { answerQuota } from './answer.ts'
import type { QuotaWire } from './wire.ts'

/** GET /admin/users/{token}/quota */
export function readQuota({ schemas }: QuotaWire): Operation {
  return {
    need: 'users:read',
    tag: 'Quotas',
    summary: 'Get the quotas of a user',
    request: { params: userPath },
    answer: {
      description: 'Every family, limited or not; the built-in `other` where it was used or is limited',
      schema: schemas.quota,
    },
    refusals: ['bad_request', 'not_found', 'conflict'],
    handle: (c, parts) => withNamedUser(c, parts, async (user) => answerQuota(parts, user)),
  }
}
