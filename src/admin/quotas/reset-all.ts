import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { UsageWasReset } from '#storage/store/users.ts'
import type { QuotaWire, ResetAll } from './wire.ts'

/**
 * POST /admin/quota/reset: resets all users to zero. It works in transactions of a few users each, so that running
 * requests are admitted in between. Users at zero are skipped, so a call that was interrupted can be repeated from
 * the last cursor received.
 */
export function resetQuotas({ schemas, parseResetAll }: QuotaWire): Operation {
  return {
    need: 'users:write',
    tag: 'Quotas',
    summary: 'Reset all users to zero',
    description:
      'In small transactions, up to `limit` users in a call: call again with `nextCursor` until it is absent. ' +
      'Users at zero are skipped, so a call can be retried. An unknown field is an error here.',
    request: { query: noParameters, body: jsonBody(schemas.resetAll) },
    answer: { description: 'The progress', schema: schemas.wasReset },
    refusals: bodyRefusals,
    async handle(c, parts) {
      const asked = await readParsed(c, parts, parseResetAll)
      if (asked.kind === 'refused') return asked
      const { users, next } = await resetAll(c, parts, asked.value)
      return answered({ users, ...(next !== undefined && { nextCursor: next }) })
    },
  }
}

const usersAtOnce = 200

async function resetAll(
  c: AdminContext,
  parts: AdminParts,
  { families, after, limit }: ResetAll,
): Promise<UsageWasReset> {
  let [users, next, left] = [0, after, limit]
  do {
    const step = Math.min(left, usersAtOnce)
    const request = { families, limit: step, ...(next !== undefined && { after: next }) }
    const done = await parts.store.users.resetUsage(request, byOf(c, parts))
    users += done.users
    next = done.next
    left -= step
  } while (next !== undefined && left > 0)
  return { users, ...(next !== undefined && { next }) }
}
