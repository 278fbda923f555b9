import { z } from '@hono/zod-openapi'
import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { bulkSchemas } from './schemas.ts'
import { toBulkRun } from './wire.ts'

/** GET /admin/bulk/{id}: how far a run has come. */
export const readBulk: Operation = {
  need: 'users:read',
  tag: 'Bulk actions',
  summary: 'How far a bulk action has come',
  request: { params: bulkSchemas.path, query: noParameters },
  answer: { description: 'The run', schema: bulkSchemas.run },
  refusals: ['bad_request', 'not_found'],
  async handle(c, { store }) {
    const run = await store.bulk.findRun(c.req.param('id') ?? '')
    return run ? answered(toBulkRun(run)) : refused(createProblem('not_found'))
  },
}

const listed = 100

/** GET /admin/bulk: the latest runs. */
export const listBulk: Operation = {
  need: 'users:read',
  tag: 'Bulk actions',
  summary: 'The latest bulk actions',
  description: `The newest ${listed}, newest first; kept for 90 days.`,
  request: { query: noParameters },
  answer: { description: 'The runs', schema: z.object({ runs: z.array(bulkSchemas.run) }) },
  refusals: ['bad_request'],
  async handle(_, { store }) {
    return answered({ runs: (await store.bulk.listRuns(listed)).map(toBulkRun) })
  },
}
