import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { problemOf, withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { refused } from '#core/reading.ts'
import { answerQuota } from './answer.ts'
import type { QuotaWire } from './wire.ts'

/** POST /admin/users/{token}/quota/reset: resets all families, or the named ones, to zero. */
export function resetQuota({ schemas, parseReset }: QuotaWire): Operation {
  return {
    need: 'users:write',
    tag: 'Quotas',
    summary: 'Reset a user’s usage to zero',
    description:
      'An adjustment takes the usage out. Units reserved by running requests stay, and so do added units. ' +
      'An unknown field is an error here.',
    request: { params: userPath, query: noParameters, body: jsonBody(schemas.reset) },
    answer: { description: 'The quotas afterwards', schema: schemas.quota },
    refusals: [...bodyRefusals, 'not_found', 'conflict'],
    async handle(c, parts) {
      const families = await readParsed(c, parts, parseReset)
      if (families.kind === 'refused') return families
      return withNamedUser(c, parts, async (user) => {
        const write = { ref: { id: user.id }, edit: { quotaReset: families.value } }
        const result = await parts.store.users.writeUsers([write], byOf(c, parts))
        if (result.kind !== 'written') return refused(problemOf(result, ''))
        return answerQuota(parts, result.users[0] ?? user)
      })
    },
  }
}
