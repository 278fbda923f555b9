import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { FrontEndWire } from './wire.ts'

/** GET /admin/users/{token}/front-end */
export function readFrontEnd({ schemas, toAnswer }: FrontEndWire): Operation {
  return {
    need: 'users:read',
    tag: 'Front ends',
    summary: 'Read how a front end names its people',
    description: 'Its secret is not shown. 404 where the user is no front end.',
    request: { params: userPath, query: noParameters },
    answer: { description: 'The front end', schema: schemas.answer },
    refusals: ['bad_request', 'not_found', 'conflict'],
    handle: (c, parts) =>
      withNamedUser(c, parts, async ({ id }) => {
        const { frontEnds } = parts.store
        const frontEnd = await frontEnds.readFrontEnd(id)
        if (!frontEnd) return refused(createProblem('not_found', 'This user is no front end.'))
        return answered(toAnswer(frontEnd, await frontEnds.countPeople(id)))
      }),
  }
}
