import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { idempotencyConflict, idempotencyHeader, readIdempotencyKey } from '#admin/request/idempotency.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import type { QuotaAdded, QuotaAddition } from '#storage/store/users.ts'
import { answerQuota } from './answer.ts'
import type { QuotaWire } from './wire.ts'

/** POST /admin/users/{token}/quota/add: more for this period; safe to retry under an `Idempotency-Key`. */
export function addToQuota({ schemas, parseAddition }: QuotaWire): Operation {
  return {
    need: 'users:write',
    tag: 'Quotas',
    summary: 'Add to a limit for this period only',
    description:
      'The units end with the period. Less than 0 takes back added units, at most all of them. 409 where the ' +
      'family is unlimited.',
    request: {
      params: userPath,
      query: noParameters,
      headers: idempotencyHeader,
      body: { ...jsonBody(schemas.addition), required: true },
    },
    answer: { description: 'The quotas afterwards', schema: schemas.quota },
    refusals: [...bodyRefusals, 'not_found', 'conflict'],
    async handle(c, parts) {
      const addition = await readParsed(c, parts, parseAddition)
      if (addition.kind === 'refused') return addition
      return withNamedUser(c, parts, async ({ id }) => {
        // By the id, so that the stored digest depends on no secret.
        const idempotencyKey = readIdempotencyKey(c, { operation: 'addToQuota', id, ...addition.value })
        if (idempotencyKey.kind === 'refused') return idempotencyKey
        const by = byOf(c, parts)
        const added = await parts.store.users.addToQuota({ id }, addition.value, by, idempotencyKey.value)
        if (added.kind !== 'added') return refused(notAdded(added, addition.value))
        return answerQuota(parts, added.user, added.repeated)
      })
    },
  }
}

function notAdded(
  added: Exclude<QuotaAdded, { readonly kind: 'added' }>,
  { family }: QuotaAddition,
): Problem {
  switch (added.kind) {
    case 'unknown':
      return createProblem('not_found')
    case 'conflict':
      return createProblem('conflict', idempotencyConflict)
    case 'invalid':
      return badInput(added.issues.map(({ message }) => ({ path: 'units', message })))
    case 'unlimited': {
      const why =
        added.type === 'special'
          ? 'A special user has no limits: change the type first, or add nothing.'
          : `${family} is unlimited for this user: set tokenLimits.${family} first, or add nothing.`
      return createProblem('conflict', why)
    }
  }
}
