import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminParts } from '#admin/request/context.ts'
import { readUserRef } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { runningIssue } from '#core/user.ts'
import type { UsersPurged } from '#storage/store/users.ts'
import { purgeSchemas } from './schemas.ts'

/** How long one call removes traces; upkeep goes on. */
const tracesMs = 5_000
/** Rows in a transaction. */
const batchRows = 500

/** POST /admin/users/{token}/purge: removes a user for good, and what is personal wherever it stands. */
export const purgeUser: Operation = {
  need: 'users:purge',
  summary: 'Remove a user for good',
  description:
    'Name the user by id, in the path and in the body. Access tokens, nickname, note, tags, meta and addresses go, also ' +
    'from requests and from the audit trail, which stays whole. What was booked keeps its sums, under an id that no new ' +
    'user can have. 409 while requests of the user run: disable the user first, which cuts them. A repeat answers the ' +
    'same. Cannot be undone.',
  request: {
    params: userPath,
    query: noParameters,
    body: { ...jsonBody(purgeSchemas.body), required: true },
  },
  answer: { description: 'The user is purged', schema: purgeSchemas.purged },
  refusals: [...bodyRefusals, 'not_found', 'conflict'],
  async handle(c, parts) {
    const body = await readParsed(c, parts, (value) => parseBy(purgeSchemas.body, value))
    if (body.kind === 'refused') return body
    const ref = readUserRef(c)
    if (ref.kind === 'refused') return ref
    const { id } = body.value
    if (!('id' in ref.value) || ref.value.id !== id)
      return refused(badInput([{ path: 'id', message: 'must be the id in the path (usr_…)' }]))
    c.set('userId', id)
    const result = await parts.store.users.purgeUsers([id], byOf(c, parts))
    if (result.kind !== 'purged') return refused(problemOf(result))
    const complete = await removeTraces(parts, id)
    return answered({ id, purgedAt: result.users[0]?.purgedAt, complete })
  },
}

function problemOf({ kind }: Exclude<UsersPurged, { readonly kind: 'purged' }>) {
  return kind === 'unknown'
    ? createProblem('not_found')
    : createProblem('conflict', `The user ${runningIssue.message}.`)
}

/** @returns whether nothing is left */
async function removeTraces({ store }: Pick<AdminParts, 'store'>, id: string): Promise<boolean> {
  const until = performance.now() + tracesMs
  while (performance.now() < until) if ((await store.upkeep.purgeTraces(id, batchRows)) === 0) return true
  return false
}
