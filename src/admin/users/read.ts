import type { Operation } from '#admin/operation.ts'
import { answerUser, describeUser } from './answer.ts'
import { withNamedUser } from './input.ts'
import { userPath } from './schemas.ts'
import type { UserWire } from './wire.ts'

/** GET /admin/users/{token} */
export function readUser(wire: UserWire): Operation {
  return {
    need: 'users:read',
    summary: 'Get a user by token',
    request: { params: userPath },
    answer: describeUser(wire, 'A user'),
    refusals: ['bad_request', 'not_found', 'conflict'],
    handle: (c, parts) => withNamedUser(c, parts, async (user) => answerUser(c, wire, user)),
  }
}
