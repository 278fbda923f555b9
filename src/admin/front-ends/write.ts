import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { FrontEndWire } from './wire.ts'

/** PUT /admin/users/{token}/front-end: the whole settings, but for a secret that stays. */
export function writeFrontEnd({ schemas, parse, toAnswer }: FrontEndWire): Operation {
  return {
    need: 'users:write',
    tag: 'Front ends',
    summary: 'Make a user a front end, which names the people it asks for',
    description:
      'Each person becomes a user at the first request, is held to own limits and to those of the front end, and is ' +
      'metered alone. The settings are replaced as a whole; an unknown field is an error here.',
    request: {
      params: userPath,
      query: noParameters,
      body: { ...jsonBody(schemas.input), required: true },
    },
    answer: { description: 'The front end', schema: schemas.answer },
    refusals: [...bodyRefusals, 'not_found', 'conflict'],
    async handle(c, parts) {
      const wanted = await readParsed(c, parts, parse)
      if (wanted.kind === 'refused') return wanted
      const { settings, secret } = wanted.value
      return withNamedUser(c, parts, async ({ id }) => {
        const { frontEnds } = parts.store
        const set = await frontEnds.setFrontEnd(id, settings, secret, byOf(c, parts))
        if (set === 'unknown') return refused(createProblem('not_found'))
        if (set === 'no_secret') return refused(createProblem('conflict', noSecret))
        return answered(toAnswer(set, await frontEnds.countPeople(id)))
      })
    },
  }
}

const noSecret = 'No secret is stored for this front end: send one.'
