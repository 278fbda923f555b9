import { isUtf8 } from 'node:buffer'
import { read, type TextReading, type Unreadable, unreadable } from './reading.ts'

/**
 * Reads what a form of `multipart/form-data` (RFC 7578) says in its short fields, without touching its files. It is
 * stricter than other readers on purpose: where readers differ (two names, folded headers, bytes around the parts), a
 * form could show one model to Tollgate and another to the upstream. Finding the parts is native, some GB a second.
 */
export interface Form {
  /** Short fields that are not files. */
  readonly fields: ReadonlyMap<string, FormField>
  /** Names that occur more than once, as a field or as a file. */
  readonly repeated: ReadonlySet<string>
  /** Bytes of all fields that are not files. */
  readonly textBytes: number
  readonly files: number
}

interface FormField {
  readonly value: string
  /** First byte of the value and the first one after it. */
  readonly start: number
  readonly end: number
}

const partsMax = 512
const headBytesMax = 4096
const fieldBytesMax = 4096
const boundaryPattern = /^[\w'()+,\-./:=?]{1,70}$/

/** The boundary that a content type names; undefined where it is another type, or names none or two. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim())
  if (type.toLowerCase() !== 'multipart/form-data') return undefined
  const named = parameters.filter((parameter) => /^boundary\s*=/i.test(parameter))
  const [, boundary] = /^boundary="?([^"]*)"?$/i.exec(named[0] ?? '') ?? []
  return named.length === 1 && boundary !== undefined && boundaryPattern.test(boundary) ? boundary : undefined
}

export function readForm(body: Buffer, boundary: string): TextReading<Form> {
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const fields = new Map<string, FormField>()
  const seen = new Set<string>()
  const repeated = new Set<string>()
  let textBytes = 0
  let files = 0
  // The first one needs no line before it.
  if (!body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) return invalid('its first part')
  let at = delimiter.length - 2
  for (let parts = 0; !isEnd(body, at); parts += 1) {
    if (parts === partsMax) return invalid(`more than ${partsMax} parts`)
    const headEnd = body.indexOf('\r\n\r\n', at)
    if (!isLineEnd(body, at) || headEnd < 0 || headEnd - at > headBytesMax)
      return invalid('the head of a part')
    const head = readHead(body.toString('latin1', at + 2, Math.max(at + 2, headEnd)))
    if (!head) return invalid('the head of a part')
    const start = headEnd + 4
    const end = body.indexOf(delimiter, start - 2)
    if (end < 0) return invalid('its end')
    // An empty value ends with the line that ends its head.
    const value = body.subarray(start, Math.max(start, end))
    const place = { start, end: start + value.length }
    if (seen.has(head.name)) repeated.add(head.name)
    seen.add(head.name)
    if (head.isFile) files += 1
    else {
      if (!isUtf8(value)) return invalid('a text that is not UTF-8')
      textBytes += value.length
      if (value.length <= fieldBytesMax) fields.set(head.name, { value: value.toString(), ...place })
    }
    at = end + delimiter.length
  }
  if (!/^--\s*$/.test(body.toString('latin1', at, at + 8)) || body.length > at + 4) return invalid('its end')
  return read({ fields, repeated, textBytes, files })
}

function isEnd(body: Buffer, at: number): boolean {
  return body[at] === 0x2d && body[at + 1] === 0x2d
}

function isLineEnd(body: Buffer, at: number): boolean {
  return body[at] === 0x0d && body[at + 1] === 0x0a
}

interface PartHead {
  readonly name: string
  readonly isFile: boolean
}

function readHead(text: string): PartHead | undefined {
  let head: PartHead | undefined
  for (const line of text.split('\r\n')) {
    const [, name = '', value = ''] = /^([\w-]+):[ \t]*(.*)$/.exec(line) ?? []
    switch (name.toLowerCase()) {
      case 'content-disposition':
        if (head) return undefined
        head = readDisposition(value)
        if (!head) return undefined
        break
      case 'content-type':
      case 'content-length':
        break
      case 'content-transfer-encoding':
        if (!/^(?:7bit|8bit|binary)$/i.test(value.trim())) return undefined
        break
      default:
        return undefined
    }
  }
  return head
}

const parameterPattern = /;[ \t]*(name|filename\*?)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s";\\]+))[ \t]*/gy

function readDisposition(value: string): PartHead | undefined {
  const [lead = ''] = /^form-data[ \t]*/i.exec(value) ?? []
  if (lead === '') return undefined
  const parameters = new Map<string, string>()
  parameterPattern.lastIndex = lead.length
  let at = lead.length
  for (let match = parameterPattern.exec(value); match; match = parameterPattern.exec(value)) {
    const [all, key = '', quoted, bare = ''] = match
    if (parameters.has(key)) return undefined
    parameters.set(key, quoted ?? bare)
    at += all.length
  }
  const name = parameters.get('name')
  // Readers differ on escapes in a name, so a name with one is refused.
  if (at !== value.length || name === undefined || name.includes('\\')) return undefined
  return { name, isFile: parameters.has('filename') || parameters.has('filename*') }
}

function invalid(what: string): Unreadable {
  return unreadable(`The form cannot be read: ${what}.`)
}
