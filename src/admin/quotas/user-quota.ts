import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
} from '#admin/context.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { readRepeat, repeatConflict } from '#admin/request/idempotency.ts'
import { problemOf, readUserRef } from '#admin/users/input.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { type Parsed, toReading } from '#core/parsed.ts'
import { type Reading, read, refused } from '#core/reading.ts'
import type { User } from '#core/user.ts'
import type { QuotaAdded, QuotaAddition } from '#storage/store.ts'
import { toQuotaAnswer } from './wire.ts'

/** GET /admin/users/{token}/quota */
export const readQuota: AdminHandler = async (c, parts) => {
  const user = await findUser(c, parts)
  if (user.kind === 'refused') return answerProblem(c, user.problem, parts.clock())
  return answerQuota(c, parts, user.value)
}

/** POST /admin/users/{token}/quota/reset: counts from zero, all families or those that are named. */
export const resetQuota: AdminHandler = async (c, parts) => {
  const families = await readParsed(c, parts, parts.wire.quotas.parseReset)
  if (families.kind === 'refused') return answerProblem(c, families.problem, parts.clock())
  const user = await findUser(c, parts)
  if (user.kind === 'refused') return answerProblem(c, user.problem, parts.clock())
  const write = { ref: { id: user.value.id }, edit: { quotaReset: families.value } }
  const result = await parts.store.users.writeUsers([write], parts.clock())
  if (result.kind !== 'written') return answerProblem(c, problemOf(result, ''), parts.clock())
  return answerQuota(c, parts, result.users[0] ?? user.value)
}

/** POST /admin/users/{token}/quota/add: more for this period; safe to repeat under an `Idempotency-Key`. */
export const addToQuota: AdminHandler = async (c, parts) => {
  const addition = await readParsed(c, parts, parts.wire.quotas.parseAddition)
  if (addition.kind === 'refused') return answerProblem(c, addition.problem, parts.clock())
  const user = await findUser(c, parts)
  if (user.kind === 'refused') return answerProblem(c, user.problem, parts.clock())
  const { id } = user.value
  // By the id, so that what is kept of the request holds no secret.
  const repeat = readRepeat(c, { operation: 'addToQuota', id, ...addition.value })
  if (repeat.kind === 'refused') return answerProblem(c, repeat.problem, parts.clock())
  const added = await parts.store.users.addToQuota({ id }, addition.value, parts.clock(), repeat.value)
  if (added.kind !== 'added') return answerProblem(c, notAdded(added, addition.value), parts.clock())
  return answerQuota(c, parts, added.user, added.repeated)
}

async function findUser(c: AdminContext, { store, clock }: AdminParts): Promise<Reading<User>> {
  const ref = readUserRef(c)
  if (ref.kind === 'refused') return ref
  const user = await store.users.findUser(ref.value, clock())
  if (!user) return refused(createProblem('not_found'))
  c.set('userId', user.id)
  return read(user)
}

/** A body by its own parser; one that is left out is an empty one. */
export async function readParsed<T>(
  c: AdminContext,
  parts: AdminParts,
  parse: (value: unknown) => Parsed<T>,
): Promise<Reading<T>> {
  const reading = await readJsonBody(c, parts)
  if (reading.kind === 'refused') return reading
  return toReading(parse(reading.kind === 'empty' ? {} : reading.value))
}

function notAdded(
  added: Exclude<QuotaAdded, { readonly kind: 'added' }>,
  { family }: QuotaAddition,
): Problem {
  switch (added.kind) {
    case 'unknown':
      return createProblem('not_found')
    case 'conflict':
      return createProblem('conflict', repeatConflict)
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

function answerQuota(c: AdminContext, { policy, clock }: AdminParts, user: User, isReplay = false): Response {
  const headers: Record<string, string> = isReplay ? { 'idempotency-replayed': 'true' } : {}
  return answerJson(c, toQuotaAnswer(user, policy, clock()), headers)
}
