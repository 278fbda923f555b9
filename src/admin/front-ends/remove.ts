import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { FrontEndWire } from './wire.ts'

/** DELETE /admin/users/{token}/front-end */
export function removeFrontEnd({ schemas }: FrontEndWire): Operation {
  return {
    need: 'users:write',
    tag: 'Front ends',
    summary: 'Make a front end a plain user again',
    description:
      'Its requests are its own from now on. The people stay users; where it becomes a front end again, they are the same.',
    request: { params: userPath, query: noParameters },
    answer: { description: 'The user is a plain one', schema: schemas.removed },
    refusals: ['bad_request', 'not_found', 'conflict'],
    handle: (c, parts) =>
      withNamedUser(c, parts, async ({ id }) => {
        const was = await parts.store.frontEnds.removeFrontEnd(id, byOf(c, parts))
        return was ? answered({ id }) : refused(createProblem('not_found', 'This user is no front end.'))
      }),
  }
}
