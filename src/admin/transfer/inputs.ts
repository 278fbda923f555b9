import { CsvError } from 'csv-parse'
import type { TokenSight } from '#admin/request/token-sight.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { accessTokenIssues } from '#admin/users/wire.ts'
import { isTokenDigest } from '#core/access-token.ts'
import type { Issue } from '#core/errors.ts'
import { issuesUnder } from '#core/issues.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { isUserId } from '#core/user-id.ts'
import type { WriteRef } from '#core/user-ref.ts'
import { columnsOf, fromCells, headFault, toHead } from './csv.ts'
import type { ImportQuery } from './query.ts'
import { type Chunks, type FileRecord, readLines, readObjects, readRows } from './records.ts'
import { fromLiteLlm } from './sources/litellm.ts'
import { fromOaiReverseProxy } from './sources/oai-reverse-proxy.ts'
import { fromOneApi } from './sources/one-api.ts'
import type { Conversion, Convert, SourceParts } from './sources/source.ts'

export type FileFormat = 'ndjson' | 'json' | 'csv'

/** A record of the file as a write, or what is wrong with it. */
export type Input =
  | {
      readonly kind: 'write'
      readonly line: number
      readonly bytes: number
      /** The user: by the access token, or by its SHA-256 where the token itself is not known. */
      readonly ref: Exclude<WriteRef, { readonly id: string }>
      /** The SHA-256 of an access token that is accepted beside the user's own. */
      readonly tokenDigest: string | undefined
      /** The id that a new user gets, as the file has it. */
      readonly id: string | undefined
      readonly edit: UserEdit
      readonly ignored: readonly string[]
      /** What the record says that has no place here. */
      readonly warnings: readonly Issue[]
    }
  | {
      readonly kind: 'invalid'
      readonly line: number
      readonly issues: readonly Issue[]
      /** Nothing after it can be read. */
      readonly isLast?: boolean
    }

/** What the file is read with. */
interface Seen {
  readonly wire: UserWire
  /** One who sees masks might send them back. */
  readonly sight: TokenSight
}

const own: Convert = (user) => ({ kind: 'user', user })
const converters: Readonly<Record<ImportQuery['from'], Convert>> = {
  tollgate: own,
  'oai-reverse-proxy': fromOaiReverseProxy,
  litellm: fromLiteLlm,
  'one-api': fromOneApi,
  'new-api': fromOneApi,
}

/** Reads a file as it comes in, record by record. */
export async function* readInputs(
  chunks: Chunks,
  format: FileFormat,
  query: ImportQuery,
  seen: Seen,
): AsyncGenerator<Input> {
  const { wire } = seen
  const parts: SourceParts = { familyNames: wire.familyNames, budgets: query.budgets }
  const convert = converters[query.from]
  for await (const record of recordsOf(chunks, format, query, wire)) {
    const { line, bytes } = record
    if ('fault' in record) {
      const { fault, isLast = false } = record
      yield { kind: 'invalid', line, issues: [{ path: '', message: fault }], isLast }
    } else yield toInput(record.value, { line, bytes }, seen, (object) => convert(object, parts))
  }
}

async function* recordsOf(
  chunks: Chunks,
  format: FileFormat,
  { from, isClearing }: ImportQuery,
  wire: UserWire,
): AsyncGenerator<FileRecord> {
  if (format !== 'csv') return yield* format === 'json' ? readObjects(chunks) : readLines(chunks)
  // The columns of another system are texts until its fields are read.
  const columns = from === 'tollgate' ? columnsOf(wire.familyNames) : new Map()
  let head: ReturnType<typeof toHead> | undefined
  try {
    for await (const row of readRows(chunks)) {
      const { line, bytes } = row
      if ('fault' in row) {
        yield head ? row : { ...row, isLast: true }
        if (!head) return
      } else if (!head) {
        head = toHead(row.cells, columns)
        const fault = headFault(head, columns)
        if (fault !== undefined) return yield { line, bytes, fault, isLast: true }
      } else if (row.cells.slice(head.length).some((cell) => cell !== undefined)) {
        // As with a comma in a text without quotes: the cells after it stand in the wrong columns.
        yield { line, bytes, fault: `has ${row.cells.length} cells for ${head.length} columns` }
      } else yield { line, bytes, value: fromCells(row.cells, head, isClearing) }
    }
  } catch (error) {
    // What the parser cannot read on from; anything else is not about the file.
    if (!(error instanceof CsvError)) throw error
    yield {
      line: typeof error.lines === 'number' ? error.lines : 0,
      bytes: 0,
      isLast: true,
      fault: `is not valid CSV (${error.code})`,
    }
  }
}

function toInput(
  value: unknown,
  { line, bytes }: { readonly line: number; readonly bytes: number },
  { wire, sight }: Seen,
  convert: (record: Readonly<Record<string, unknown>>) => Conversion,
): Input {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { kind: 'invalid', line, issues: [{ path: '', message: 'is not an object' }] }
  const converted = convert({ ...value })
  if (converted.kind === 'invalid') return { kind: 'invalid', line, issues: converted.issues }
  const { user, warnings = [] } = converted
  const { tokenSha256: digest, ...members } = user
  const input = wire.parseEdit(members)
  if (input.kind === 'invalid') return { kind: 'invalid', line, issues: input.issues }
  const { edit, accessToken, ignored } = input.value
  const tokenDigest = typeof digest === 'string' ? digest.toLowerCase() : undefined
  const issues = [
    ...(accessToken === undefined && tokenDigest !== undefined
      ? []
      : issuesUnder('token', accessTokenIssues(accessToken, sight))),
    ...(digest === undefined || (tokenDigest !== undefined && isTokenDigest(tokenDigest))
      ? []
      : [{ path: 'tokenSha256', message: 'must be 64 hexadecimal digits' }]),
    ...(user.id === undefined || (typeof user.id === 'string' && isUserId(user.id))
      ? []
      : [{ path: 'id', message: 'is not an id of a user: leave it out' }]),
  ]
  if (issues.length > 0) return { kind: 'invalid', line, issues }
  const id = typeof user.id === 'string' ? user.id : undefined
  const ref =
    accessToken === undefined && tokenDigest !== undefined
      ? { tokenDigest }
      : { accessToken: accessToken ?? '' }
  return { kind: 'write', line, bytes, ref, tokenDigest, id, edit, ignored, warnings }
}
