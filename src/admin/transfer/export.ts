import { z } from '@hono/zod-openapi'
import type { Operation } from '#admin/operation.ts'
import { type Answer, written } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { cutOnFailure, logUnreadable } from '#admin/request/long-answer.ts'
import { readQuery } from '#admin/request/query.ts'
import { clear, grantedSightOf } from '#admin/request/token-sight.ts'
import { filterParameters, toFilter } from '#admin/users/filter.ts'
import { readUser } from '#admin/users/read.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { streamPages } from '#admin/wire/stream-pages.ts'
import { createProblem } from '#core/errors.ts'
import { mapped, type Parsed, parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import type { UserFilter, UserPage } from '#core/user-list.ts'
import { present } from '#lib/present.ts'
import { columnsOf, toCells, toRows } from './csv.ts'

const formats = ['ndjson', 'csv'] as const

const exportQuerySchema = z.object({
  format: z.enum(formats).openapi({ description: 'One object a line, or a table.' }),
  ...filterParameters,
})

/**
 * GET /admin/users/export: all users, or those of a filter, with everything that an import takes. Without `format` the
 * path names a user, as the contract has it.
 */
export function exportUsers(wire: UserWire): Operation {
  const byToken = readUser(wire)
  return {
    need: 'users:read',
    summary: 'Export users as NDJSON or CSV',
    description:
      'In the order of creation, streamed, with access tokens in clear: the key needs `tokens:reveal` as well. An import of the file brings the same users, and an ' +
      'export of those the same bytes. Units that were added for the current period alone are not part of it.',
    request: { query: exportQuerySchema },
    answer: {
      description: 'The users',
      schema: z.string(),
      types: ['application/x-ndjson', 'text/csv'],
    },
    refusals: ['bad_request', 'not_found'],
    async handle(c, parts) {
      if (!/(?:^|&)format=/.test(c.get('target').query)) return byToken.handle(c, parts)
      if (grantedSightOf(c).isMasked)
        return refused(
          createProblem(
            'forbidden',
            'An export holds access tokens: this key lacks the scope "tokens:reveal".',
          ),
        )
      const known = { timeZone: parts.policy.timeZone, familyNames: wire.familyNames }
      const asked = readQuery(c, (values) => parseExportQuery(values, known))
      return asked.kind === 'refused' ? asked : answerExport(c, parts, wire, asked.value)
    },
  }
}

interface ExportQuery {
  readonly format: (typeof formats)[number]
  readonly filter: UserFilter
}

function parseExportQuery(
  values: ReadonlyMap<string, string>,
  known: Parameters<typeof toFilter>[1],
): Parsed<ExportQuery> {
  const fields = parseBy(exportQuerySchema, Object.fromEntries(values))
  if (fields.kind === 'invalid') return fields
  const { format, ...narrowing } = fields.value
  return mapped(toFilter(narrowing, known), (filter) => ({ format, filter }))
}

/** Users with the SHA-256 of the access tokens that are accepted beside theirs. */
interface FilePage extends UserPage {
  readonly digests: ReadonlyMap<string, string>
}

/** Few enough that reading and decrypting a page does not delay other requests. */
const pageSize = 200

async function answerExport(
  c: AdminContext,
  parts: AdminParts,
  wire: UserWire,
  { format, filter }: ExportQuery,
): Promise<Answer> {
  const { store, clock, log } = parts
  const columns = columnsOf(wire.familyNames)
  await store.changes.noteChange({
    by: byOf(c, parts),
    kind: 'users.exported',
    object: 'users',
    after: { format, ...filter },
  })
  const page = async (after?: UserPage['next']): Promise<FilePage> => {
    const found = await store.users.listUsers({
      filter,
      limit: pageSize,
      now: clock(),
      ...(after && { after }),
    })
    logUnreadable(found, c, log, 'users whose rows cannot be read were left out of an export')
    return { ...found, digests: await store.users.findDigests(found.users.map(({ id }) => id)) }
  }
  const toText = ({ users, digests }: FilePage): string => {
    const records = users.map((user) => ({
      ...wire.toUser(user, clear),
      ...present({ tokenSha256: digests.get(user.id) }),
    }))
    return format === 'csv'
      ? toRows(records.map((record) => toCells(record, columns)))
      : records.map((record) => `${JSON.stringify(record)}\n`).join('')
  }
  const stream = streamPages({
    head: format === 'csv' ? toRows([[...columns.keys()]]) : '',
    first: await page(),
    page,
    toText,
    onFailure: cutOnFailure(c, log, 'an export of users broke off'),
  })
  const type = format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson'
  return written(stream, {
    'content-type': type,
    'content-disposition': `attachment; filename="users.${format}"`,
    'cache-control': 'no-store',
  })
}
