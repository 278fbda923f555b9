import { excessProblem, ownBounds } from '#admin/keys/bounds.ts'
import { findNamedKey } from '#admin/keys/named.ts'
import { keySchemas } from '#admin/keys/schemas.ts'
import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { AdminKey } from '#core/admin-key.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { allows } from '#core/scopes.ts'
import { checkSecondFactor } from './check.ts'
import { secondFactorSchemas } from './schemas.ts'

/** POST /admin/keys/{id}/second-factor/remove: the key opens everything by itself again. */
export const removeSecondFactor: Operation = {
  need: 'any',
  tag: 'Admin keys',
  summary: 'Remove the second factor of a key',
  description:
    'Of your own key, from a session of it and with a code; or of another one with `keys:write`, where the app and the codes ' +
    'are lost. A key that has more than yours is 403.',
  request: { params: keySchemas.path, body: jsonBody(secondFactorSchemas.removal) },
  answer: { description: 'The second factor is removed', schema: secondFactorSchemas.changed },
  refusals: [...bodyRefusals, 'code_needed', 'wrong_code', 'not_found'],
  async handle(c, parts) {
    const body = await readParsed(c, parts, (value) => parseBy(secondFactorSchemas.removal, value))
    if (body.kind === 'refused') return body
    const named = await findNamedKey(c, parts.store.adminKeys)
    if (named?.secondFactorAt === undefined) return refused(createProblem('not_found'))
    const problem = await problemOfRemoval(c, parts, named, body.value.code)
    if (problem) return refused(problem)
    const removed = await parts.store.secondFactors.removeSecondFactor(named.id, byOf(c, parts))
    return removed ? answered({ id: named.id }) : refused(createProblem('not_found'))
  },
}

async function problemOfRemoval(
  c: AdminContext,
  parts: AdminParts,
  named: AdminKey,
  code: string | undefined,
): Promise<Problem | undefined> {
  if (named.id === c.get('adminKey')?.id) return checkSecondFactor(named, code, parts, byOf(c, parts))
  const own = ownBounds(c)
  if (!allows(own.scopes, 'keys:write')) return createProblem('not_found')
  // Without its second factor the key's secret alone opens everything that it allows.
  return excessProblem(own, named)
}
