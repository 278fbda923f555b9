import { type AdminHandler, type AdminParts, answerJson, answerProblem } from '#admin/context.ts'
import type { UsageWasReset } from '#storage/store.ts'
import { readParsed } from './user-quota.ts'
import type { ResetAll } from './wire.ts'

/**
 * POST /admin/quota/reset: counts everybody from zero. In transactions of a few users each, so that running
 * requests are admitted between them; who was counted from zero before is passed over, so that a call which broke
 * off is simply made again, from the cursor of the last answer that came.
 */
export const resetQuotas: AdminHandler = async (c, parts) => {
  const asked = await readParsed(c, parts, parts.wire.quotas.parseResetAll)
  if (asked.kind === 'refused') return answerProblem(c, asked.problem, parts.clock())
  const { users, next } = await resetAll(asked.value, parts)
  return answerJson(c, { users, ...(next !== undefined && { nextCursor: next }) })
}

const usersAtOnce = 200

async function resetAll(
  { families, after, limit }: ResetAll,
  { store, clock }: AdminParts,
): Promise<UsageWasReset> {
  let [users, next, left] = [0, after, limit]
  do {
    const step = Math.min(left, usersAtOnce)
    const request = { families, limit: step, ...(next !== undefined && { after: next }) }
    const done = await store.users.resetUsage(request, clock())
    users += done.users
    next = done.next
    left -= step
  } while (next !== undefined && left > 0)
  return { users, ...(next !== undefined && { next }) }
}
