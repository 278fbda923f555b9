import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { parse } from 'csv-parse'

/**
 * The records of a body, read as they come: a body may have any size. What cannot be read is a record with a fault, and
 * the records after it are read all the same wherever its end can be found.
 */
export type FileRecord =
  | { readonly line: number; readonly bytes: number; readonly value: unknown }
  | { readonly line: number; readonly bytes: number; readonly fault: string }

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
  for await (const chunk of chunks) {
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
        if (open.length > depthMax) return yield { line: line + 1, bytes: 0, fault: 'is nested too deep' }
        if (gathered === 0 && isElement) {
          gathered = open.length
          from = at
          bytes = 0
        }
      } else if (byte === closeList || byte === closeObject) {
        const opened = open.pop()
        if (opened !== (byte === closeList ? openList : openObject))
          return yield { line: line + 1, bytes: 0, fault: 'is not valid JSON: its brackets do not match' }
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
    yield { line: line + 1, bytes: 0, fault: 'is missing: the document breaks off' }
}

const depthMax = 1_000

/** A cell as it stood; undefined for an empty one without quotes. */
export type Cell = string | undefined

/** The rows of a CSV file (RFC 4180), the head included; `line` is where a row ends. */
export async function* readRows(
  chunks: Chunks,
): AsyncGenerator<{ readonly line: number; readonly bytes: number; readonly cells: readonly Cell[] }> {
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: recordBytesMax,
    cast: (cell, { quoting }) => (cell === '' && !quoting ? undefined : cell),
  })
  const source = Readable.from(chunks, { objectMode: false })
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  try {
    let before = 0
    for await (const { record, info } of parser) {
      yield { line: info.lines, bytes: info.bytes - before, cells: record }
      before = info.bytes
    }
  } finally {
    source.destroy()
  }
}

function parsed(line: number, bytes: Uint8Array): FileRecord | undefined {
  if (!isUtf8(bytes)) return { line, bytes: bytes.length, fault: 'is not valid UTF-8' }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  if (text.trim() === '') return undefined
  try {
    return { line, bytes: bytes.length, value: JSON.parse(text) }
  } catch {
    return { line, bytes: bytes.length, fault: 'is not valid JSON' }
  }
}
