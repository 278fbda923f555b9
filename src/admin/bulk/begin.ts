import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { createProblem } from '#core/errors.ts'
import { toReading } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { advance, type BulkParts, lostIssue, newRun, readBatch } from './advance.ts'
import { planFor } from './plan.ts'
import { bulkSchemas } from './schemas.ts'
import { type BulkRequest, limitsOf, parseBulk, toBulkRun } from './wire.ts'

/** POST /admin/users/bulk: one action on many users, in batches. */
export function beginBulk(wire: UserWire): Operation {
  return {
    need: 'users:write',
    summary: 'Do one thing to many users',
    description:
      'Works for up to ten seconds; where `state` is `running` then, POST /admin/bulk/{id}/continue goes on. Each batch is ' +
      'written whole or not at all, and each user is changed once, however often a run is taken up again. `dryRun` says how ' +
      'many users it is for, and what would change for the first 100. Usage that is reset cannot be taken back; all else ' +
      'can, for an hour.',
    request: { body: { ...jsonBody(bulkSchemas.body), required: true } },
    answer: { description: 'The run as far as it has come', schema: bulkSchemas.run },
    refusals: bodyRefusals,
    async handle(c, parts) {
      const { bulkUsersMax, policy } = parts
      const body = await readJsonBody(c, parts, { member: 'ids', itemsMax: bulkUsersMax })
      if (body.kind === 'refused') return body
      const known = { timeZone: policy.timeZone, familyNames: wire.familyNames }
      const asked = toReading(parseBulk(body.value, wire, known))
      if (asked.kind === 'refused') return asked
      const { action, target, isDryRun } = asked.value
      if (target.kind === 'ids' && target.ids.length > bulkUsersMax)
        return refused(
          createProblem(
            'body_too_large',
            `At most ${bulkUsersMax} ids in one call: name the users by a filter.`,
          ),
        )
      const bulkParts: BulkParts = { ...parts, wire, by: () => byOf(c, parts) }
      if (isDryRun) return answered(await tryOut(asked.value, bulkParts))
      const matched = await countOf(asked.value, bulkParts)
      const actor = c.get('adminKey')?.name ?? ''
      const run = await parts.store.bulk.insertRun({ action, target, actor, matched }, byOf(c, parts))
      return answered(toBulkRun(await advance(run, bulkParts)))
    },
  }
}

function countOf({ target }: BulkRequest, { store, clock }: BulkParts): Promise<number> {
  return target.kind === 'ids'
    ? Promise.resolve(target.ids.length)
    : store.users.countUsers(target.filter, clock())
}

const shownMax = 100

async function tryOut(request: BulkRequest, parts: BulkParts): Promise<object> {
  const { action, target } = request
  const { users, lost } = await readBatch(newRun(action, target), parts, shownMax)
  const now = parts.clock()
  const limits = limitsOf(action, parts.wire)
  const plans = users.map((user) => ({
    user,
    plan: planFor(user, action, { policy: parts.policy, limits, now }),
  }))
  return {
    dryRun: true,
    action,
    matched: await countOf(request, parts),
    users: plans.map(({ user, plan }) => ({
      id: user.id,
      ...(user.nickname !== undefined && { nickname: user.nickname }),
      changes:
        plan.kind === 'edit'
          ? plan.changes.map(({ path, before, after }) => ({ field: path, before, after }))
          : [],
    })),
    errors: [
      ...lost.map((user) => ({ user, ...lostIssue })),
      ...plans.flatMap(({ user, plan }) =>
        plan.kind === 'invalid' ? plan.issues.map((issue) => ({ user: user.id, ...issue })) : [],
      ),
    ],
  }
}
