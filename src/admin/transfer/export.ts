import { z } from '@hono/zod-openapi'
import type { Operation } from '#admin/operation.ts'
import { type Answer, written } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { readQuery } from '#admin/request/query.ts'
import { clear } from '#admin/request/token-sight.ts'
import { filterParameters, toFilter } from '#admin/users/filter.ts'
import { readUser } from '#admin/users/read.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { createProblem } from '#core/errors.ts'
import { mapped, type Parsed, parseBy } from '#core/parsed.ts'
import { refused } from '#core/reading.ts'
import { allows } from '#core/scopes.ts'
import type { User } from '#core/user.ts'
import type { UserFilter, UserPage } from '#core/user-list.ts'
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
      if (!allows(c.get('adminKey')?.scopes ?? [], 'tokens:reveal'))
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

/** Few enough that reading and decrypting a page does not delay other requests. */
const pageSize = 200

async function answerExport(
  c: AdminContext,
  { store, clock, log }: AdminParts,
  wire: UserWire,
  { format, filter }: ExportQuery,
): Promise<Answer> {
  const requestId = c.get('requestId')
  const outgoing = c.env?.outgoing
  const columns = columnsOf(wire.familyNames)
  const page = async (after?: UserPage['next']): Promise<UserPage> => {
    const found = await store.users.listUsers({
      filter,
      limit: pageSize,
      now: clock(),
      ...(after && { after }),
    })
    const { unreadable } = found
    if (unreadable)
      log.error({ requestId, unreadable }, 'users whose rows cannot be read were left out of an export')
    return found
  }
  const toText = (users: readonly User[]): string =>
    format === 'csv'
      ? toRows(users.map((user) => toCells(wire.toUser(user, clear), columns)))
      : users.map((user) => `${JSON.stringify(wire.toUser(user, clear))}\n`).join('')
  const stream = streamPages({
    head: format === 'csv' ? toRows([[...columns.keys()]]) : '',
    // Read before the status is sent, so that an unavailable store gives a 503 and not a file that breaks off.
    first: await page(),
    page,
    toText,
    onFailure(error) {
      log.error({ err: error, requestId }, 'an export of users broke off')
      // Without the last chunk the client can tell that the file is incomplete.
      outgoing?.destroy()
      return outgoing ? 'cut' : 'open'
    },
  })
  const type = format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson'
  return written(stream, {
    'content-type': type,
    'content-disposition': `attachment; filename="users.${format}"`,
    'cache-control': 'no-store',
  })
}

/** Page after page, each read when the client has taken the one before. */
function streamPages(source: {
  readonly head: string
  readonly first: UserPage
  readonly page: (after: UserPage['next']) => Promise<UserPage>
  readonly toText: (users: readonly User[]) => string
  readonly onFailure: (error: unknown) => 'cut' | 'open'
}): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  let page: UserPage | undefined = source.first
  let { head } = source
  let next: UserPage['next']
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          let piece = ''
          // A page of which no row can be read is empty, and not the last.
          do {
            const current: UserPage = page ?? (await source.page(next))
            page = undefined
            next = current.next
            piece = `${head}${source.toText(current.users)}`
            head = ''
          } while (piece === '' && next)
          if (piece !== '') controller.enqueue(text.encode(piece))
          if (!next) controller.close()
        } catch (error) {
          if (source.onFailure(error) === 'cut') controller.close()
          else controller.error(error)
        }
      },
    },
    // No read-ahead: the body of a HEAD is never read.
    { highWaterMark: 0 },
  )
}
