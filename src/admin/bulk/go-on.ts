import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { type Answer, answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { type BulkRun, undoForMs } from '#core/bulk-run.ts'
import { createProblem } from '#core/errors.ts'
import { parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { advance } from './advance.ts'
import { bulkSchemas } from './schemas.ts'
import { lacking } from './scope.ts'
import { takeBack } from './take-back.ts'
import { toBulkRun, whyNotUndone } from './wire.ts'

const request = { params: bulkSchemas.path, query: noParameters, body: jsonBody(bulkSchemas.none) }

/** POST /admin/bulk/{id}/continue: goes on with a run that is not done, or that a stop of the process broke off. */
export function continueBulk(wire: UserWire): Operation {
  return {
    need: 'users:write',
    tag: 'Bulk actions',
    summary: 'Go on with a bulk action',
    description: 'A run that is done is answered as it is.',
    request,
    answer: { description: 'The run as far as it has come', schema: bulkSchemas.run },
    refusals: [...bodyRefusals, 'not_found'],
    handle: (c, parts) =>
      withRun(c, parts, async (run) => {
        const problem = lacking(c, run)
        if (problem) return refused(problem)
        return answered(toBulkRun(await advance(run, { ...parts, wire, by: () => byOf(c, parts) })))
      }),
  }
}

/** POST /admin/bulk/{id}/undo: takes back what a run has changed, where it was not changed again since. */
export function undoBulk(wire: UserWire): Operation {
  return {
    need: 'users:write',
    tag: 'Bulk actions',
    summary: 'Undo a bulk action',
    description:
      'Within an hour of its last change. Each field goes back to its value before, unless it was changed again since. Where ' +
      '`state` is `undoing` then, the same call goes on. 409 for what cannot be undone.',
    request,
    answer: { description: 'The run as far as it is undone', schema: bulkSchemas.run },
    refusals: [...bodyRefusals, 'not_found', 'conflict'],
    handle: (c, parts) =>
      withRun(c, parts, async (run) => {
        const reason = whyNotUndone(run)
        if (reason !== undefined) return refused(createProblem('conflict', reason))
        if (run.state !== 'undoing' && run.state !== 'undone' && run.updatedAt + undoForMs < parts.clock())
          return refused(createProblem('conflict', 'It was done more than an hour ago.'))
        return answered(
          toBulkRun(
            run.state === 'undone' ? run : await takeBack(run, { ...parts, wire, by: () => byOf(c, parts) }),
          ),
        )
      }),
  }
}

async function withRun(
  c: AdminContext,
  parts: AdminParts,
  work: (run: BulkRun) => Promise<Answer>,
): Promise<Answer> {
  const body = await readParsed(c, parts, (value) => parseBy(bulkSchemas.none, value))
  if (body.kind === 'refused') return body
  const run = await parts.store.bulk.findRun(c.req.param('id') ?? '')
  return run ? work(run) : refused(createProblem('not_found'))
}
