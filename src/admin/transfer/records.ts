import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { parse } from 'csv-parse'

/**
 * The records of a body, read as they come: a body may have any size. What cannot be read is a record with a fault, and
 * the records after it are read all the same wherever its end can be found.
 */
export type FileRecord =
  | { readonly line: number; readonly bytes: number; readonly value: unknown }
  | {
      readonly line: number
      readonly bytes: number
      readonly fault: string
      /** Where the next record begins cannot be told: nothing after it is read. */
      readonly isLast?: true
    }

export type Chunks = AsyncIterable<Uint8Array>

/** As many bytes as one user in a body of JSON may have. */
const recordBytesMax = 256 * 1024
const tooLong = `is longer than ${recordBytesMax} bytes`

/** One object a line. Empty lines are passed over; `line` counts from 1. */
export async function* readLines(chunks: Chunks): AsyncGenerator<FileRecord> {
  let line = 1
  let parts: Uint8Array[] = []
  let bytes = 0
  const take = (rest: Uint8Array): FileRecord | undefined => {
    const [at, length] = [line, bytes + rest.length]
    const whole = parts.length === 0 ? rest : Buffer.concat([...parts, rest])
    parts = []
    bytes = 0
    line += 1
    if (length > recordBytesMax) return { line: at, bytes: 0, fault: tooLong }
    return parsed(at, whole)
  }
  for await (const chunk of withoutMark(chunks)) {
    let from = 0
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      const record = take(chunk.subarray(from, to))
      from = to + 1
      if (record) yield record
    }
    // Of a line that is too long its length alone is kept.
    bytes += chunk.length - from
    if (bytes <= recordBytesMax) parts.push(chunk.subarray(from))
    else parts = []
  }
  const last = take(new Uint8Array())
  if (last) yield last
}

const [quote, backslash, openList, closeList, openObject, closeObject] = [34, 92, 91, 93, 123, 125]

/**
 * The objects that stand in a list of a JSON document, such as `{"users": [{…}, {…}]}` or `{"data": {"items": […]}}`.
 * `line` counts objects. Only the brackets are followed here; each object is parsed alone.
 */
export async function* readObjects(chunks: Chunks): AsyncGenerator<FileRecord> {
  let line = 0
  let isInString = false
  let isEscaped = false
  const open: number[] = []
  let parts: Uint8Array[] = []
  let bytes = 0
  let hasList = false
  /** How deep the object that is gathered stands; 0 between two objects. */
  let gathered = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (isInString) {
        if (isEscaped) isEscaped = false
        else if (byte === backslash) isEscaped = true
        else if (byte === quote) isInString = false
      } else if (byte === quote) isInString = true
      else if (byte === openList || byte === openObject) {
        const isElement = byte === openObject && open.at(-1) === openList
        open.push(byte)
        hasList ||= byte === openList
        if (open.length > depthMax)
          return yield { line: line + 1, bytes: 0, fault: 'is nested too deep', isLast: true }
        if (gathered === 0 && isElement) {
          gathered = open.length
          from = at
          bytes = 0
        }
      } else if (byte === closeList || byte === closeObject) {
        const opened = open.pop()
        if (opened !== (byte === closeList ? openList : openObject))
          return yield {
            ...{ line: line + 1, bytes: 0, isLast: true },
            fault: 'is not valid JSON: its brackets do not match',
          }
        if (gathered > open.length) {
          gathered = 0
          line += 1
          const rest = chunk.subarray(from, at + 1)
          if (bytes + rest.length > recordBytesMax) yield { line, bytes: 0, fault: tooLong }
          else yield parsed(line, Buffer.concat([...parts, rest])) ?? { line, bytes: 0, fault: 'is empty' }
          parts = []
        }
      }
    }
    if (gathered === 0) continue
    bytes += chunk.length - from
    if (bytes <= recordBytesMax) parts.push(chunk.subarray(from))
    else parts = []
  }
  if (open.length > 0 || isInString)
    yield { line: line + 1, bytes: 0, fault: 'is missing: the document breaks off', isLast: true }
  // Such as NDJSON under the wrong type, which would else be an import of nothing that went well.
  else if (!hasList)
    yield { line: line + 1, bytes: 0, fault: 'is missing: the document has no list of users', isLast: true }
}

const depthMax = 1_000

/** A cell as it stood; undefined for an empty one without quotes. */
export type Cell = string | undefined

/** Stands for a cell that is not valid UTF-8: a token with other characters in it would name another user. */
const unreadable = Symbol('unreadable')

export type Row =
  | { readonly line: number; readonly bytes: number; readonly cells: readonly Cell[] }
  | { readonly line: number; readonly bytes: number; readonly fault: string }

/** The rows of a CSV file (RFC 4180), the head included; `line` is where a row ends. */
export async function* readRows(chunks: Chunks): AsyncGenerator<Row> {
  const parser = parse({
    // Of UTF-16 alone, which the parser then decodes by itself.
    bom: true,
    // Bytes, so that what is not valid UTF-8 is seen.
    encoding: null,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: recordBytesMax,
    cast: (cell: unknown, { quoting }) => toCell(cell, quoting),
  })
  const source = Readable.from(withoutMark(chunks), { objectMode: false })
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  try {
    let before = 0
    for await (const { record, info } of parser) {
      const cells: readonly (Cell | typeof unreadable)[] = record
      const row = { line: info.lines, bytes: info.bytes - before }
      before = info.bytes
      if (cells.includes(unreadable)) yield { ...row, fault: notUtf8 }
      else yield { ...row, cells: cells.filter((cell) => cell !== unreadable) }
    }
  } finally {
    source.destroy()
  }
}

function toCell(cell: unknown, isQuoted: boolean): Cell | typeof unreadable {
  if (cell instanceof Uint8Array) {
    if (!isUtf8(cell)) return unreadable
    return toCell(Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength).toString(), isQuoted)
  }
  return typeof cell !== 'string' || (cell === '' && !isQuoted) ? undefined : cell
}

const mark = Buffer.from('\ufeff')

/** Without the byte order mark of UTF-8, with which some programs begin a file. */
async function* withoutMark(chunks: Chunks): Chunks {
  let head: Uint8Array | undefined = new Uint8Array()
  for await (const chunk of chunks) {
    if (!head) {
      yield chunk
      continue
    }
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    if (head.length < mark.length) continue
    yield unmarked(head)
    head = undefined
  }
  if (head) yield unmarked(head)
}

function unmarked(head: Uint8Array): Uint8Array {
  return mark.equals(head.subarray(0, mark.length)) ? head.subarray(mark.length) : head
}

const notUtf8 = 'is not valid UTF-8'

function parsed(line: number, bytes: Uint8Array): FileRecord | undefined {
  if (!isUtf8(bytes)) return { line, bytes: bytes.length, fault: notUtf8 }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  if (text.trim() === '') return undefined
  try {
    return { line, bytes: bytes.length, value: JSON.parse(text) }
  } catch {
    return { line, bytes: bytes.length, fault: 'is not valid JSON' }
  }
}
