import { z } from '@hono/zod-openapi'
import type { Operation } from '#admin/operation.ts'
import { type Answer, answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { readQuery } from '#admin/request/query.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { ignoredField } from '#admin/users/schemas.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { lengthField } from '#admin/wire/fields.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { type Reading, refused } from '#core/reading.ts'
import { whyCoded } from '#http/json-body.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { problemOfFailure } from '#storage/failure-problem.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type FileFormat, readInputs } from './inputs.ts'
import { type ImportQuery, importQuerySchema, parseImportQuery } from './query.ts'
import type { Chunks } from './records.ts'
import { type ImportReport, runImport } from './run.ts'

const types: Readonly<Record<string, FileFormat>> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'text/csv': 'csv',
  'application/json': 'json',
}

const jsonFile = z
  .unknown()
  .openapi({ description: 'Any JSON document: the objects of a list in it are the records.' })

/** POST /admin/users/import: creates and merges the users of a file of any size. */
export function importUsers(wire: UserWire): Operation {
  return {
    need: 'users:write',
    summary: 'Import users from NDJSON, CSV or JSON',
    description:
      'A file of this API or of another system, read as it comes in. Records are merged like PUT merges them, in batches ' +
      'that are each written whole or not at all. An import that ended early may be sent again: what is written already is ' +
      'unchanged then.',
    request: {
      query: importQuerySchema,
      body: {
        required: true,
        content: Object.fromEntries(
          Object.entries(types).map(([type, format]) => [
            type,
            { schema: format === 'json' ? jsonFile : z.string() },
          ]),
        ),
      },
    },
    answer: { description: 'What was done', schema: importReportSchema() },
    refusals: ['bad_request', 'unsupported_media_type'],
    async handle(c, parts) {
      const query = readQuery(c, (values) => parseImportQuery(values, wire.familyNames))
      if (query.kind === 'refused') return query
      const format = formatOf(c)
      if (format.kind === 'refused') return format
      const inputs = readInputs(chunksOf(c), format.value, query.value, { wire, sight: tokenSightOf(c) })
      const report = await runImport(inputs, {
        users: parts.store.users,
        import: (writes) => parts.store.users.importUsers(writes, byOf(c, parts)),
        write: (writes) => parts.store.users.writeUsers(writes, byOf(c, parts)),
        clock: parts.clock,
        wire,
        ...query.value,
      })
      return answerReport(c, parts, query.value, report)
    },
  }
}

function importReportSchema() {
  const issue = z.object({ line: lengthField(), path: z.string(), message: z.string() })
  const change = z.object({
    field: z.string(),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
  })
  const difference = z.object({
    line: lengthField(),
    kind: z.enum(['created', 'changed']),
    id: z.string().optional(),
    nickname: z.string().optional(),
    changes: z.array(change).optional(),
  })
  return z
    .object({
      dryRun: z.boolean(),
      records: lengthField(),
      created: lengthField(),
      changed: lengthField(),
      unchanged: lengthField(),
      failed: lengthField(),
      unreadFrom: lengthField().optional().openapi({
        description:
          'With `skip`: the line from which the file could not be read on. Nothing after it is imported.',
      }),
      errors: z
        .array(issue)
        .openapi({ description: 'The first 100. `line` is a line of NDJSON or CSV, or an object of JSON.' }),
      warned: lengthField().optional().openapi({
        description: 'With a file of another system: records that say more than a user here can hold.',
      }),
      warnings: z.array(issue).optional().openapi({
        description:
          'What has no place here, by line and field; the first 100. The records are imported without it.',
      }),
      differences: z
        .array(difference)
        .optional()
        .openapi({ description: 'Of a dry run: the first 100 users who would be created or changed.' }),
      ignored: ignoredField(),
    })
    .openapi('ImportReport')
}

function formatOf(c: AdminContext): Reading<FileFormat> {
  const coded = whyCoded(c.req.header('content-encoding'))
  if (coded) return refused(coded)
  const [type = ''] = (c.req.header('content-type') ?? '').toLowerCase().split(';', 1)
  const known = Object.entries(types).find(([name]) => name === type.trim())
  if (known) return read(known[1])
  const message = `Send the file with one of these content-types: ${Object.keys(types).join(', ')}.`
  return refused(createProblem('unsupported_media_type', message))
}

/** The body as it comes in. It is not destroyed where reading stops early: its socket carries the answer. */
function chunksOf(c: AdminContext): Chunks {
  const incoming = c.env?.incoming
  if (incoming) return incoming.iterator({ destroyOnReturn: false })
  return c.req.raw.body ?? new Blob([]).stream()
}

function answerReport(
  c: AdminContext,
  { log, clock }: AdminParts,
  { isDryRun }: ImportQuery,
  { stop, through, ignored, errors, warnings, warned, differences, unreadFrom, ...counts }: ImportReport,
): Answer {
  const done = isDryRun
    ? 'It was a dry run: nothing was written.'
    : through === 0
      ? 'Nothing was written.'
      : `All up to line ${through} is written (${counts.created} created, ${counts.changed} changed, ${counts.unchanged} ` +
        'unchanged), and nothing after it. Send the whole file again once it is mended: what is written is unchanged then.'
  if (stop?.kind === 'wrong_record') {
    const issues = errors.map(({ line, path, message }) => ({
      path: `line ${line}${path === '' ? '' : `: ${path}`}`,
      message,
    }))
    const [first] = issues
    return refused(
      createProblem('bad_request', `${first?.path ?? ''}: ${first?.message ?? ''}. ${done}`, { issues }),
    )
  }
  if (stop) {
    log.error({ err: stop.error, requestId: c.get('requestId'), through, ...counts }, 'an import broke off')
    const problem = problemOfFailure(stop.error, clock())
    const unsure =
      stop.error instanceof StoreUnavailable && stop.error.mayHaveHappened
        ? ' The batch after it may be written as well.'
        : ''
    return refused({ ...problem, message: `${problem.message} ${done}${unsure}` })
  }
  return answered({
    dryRun: isDryRun,
    ...counts,
    ...present({ unreadFrom }),
    errors,
    ...(warned > 0 && { warned, warnings }),
    ...(isDryRun && { differences }),
    ...toIgnored([...ignored]),
  })
}
