import { setImmediate } from 'node:timers/promises'
import { type Read, read } from './reading.ts'

/**
 * Parses a long list one item at a time and yields to the event loop between them: `JSON.parse` of 4 MB of `[],` takes
 * 140 ms. The commas and brackets between the items are checked here, the items by `JSON.parse`.
 */
export type ListParsing =
  | Read<unknown[]>
  | { readonly kind: 'invalid' }
  /** The item at this index is larger than the bound of an item. */
  | { readonly kind: 'item_too_large'; readonly index: number }

export interface ListBounds {
  /** Reading stops after this many items: give one more than is allowed, to detect that there are too many. */
  readonly itemsMax: number
  readonly itemBytesMax: number
}

/** Bytes that are scanned or parsed between two turns of the event loop. */
const sliceBytes = 64 * 1024
/** Parsing a small item costs as much as scanning this many bytes. */
const itemCostBytes = 256

const [quote, backslash, comma, openList, closeList] = [0x22, 0x5c, 0x2c, 0x5b, 0x5d]

/**
 * @param start the first byte that is no white space
 * @param end the first byte after the list's text; only white space may stand between it and the closing bracket
 */
export async function parseList(
  body: Buffer,
  start: number,
  end: number,
  { itemsMax, itemBytesMax }: ListBounds,
): Promise<ListParsing> {
  if (body[start] !== openList) return { kind: 'invalid' }
  const items: unknown[] = []
  let at = start + 1
  let work = 0
  for (;;) {
    const itemEnd = endOfItem(body, at, Math.min(end, at + itemBytesMax + 1))
    if (itemEnd < 0)
      return at + itemBytesMax < end ? { kind: 'item_too_large', index: items.length } : { kind: 'invalid' }
    const isLast = body[itemEnd] === closeList
    const text = body.toString('utf8', at, itemEnd)
    if (isLast && items.length === 0 && text.trim() === '') return closed(body, itemEnd + 1, end, items)
    try {
      items.push(JSON.parse(text))
    } catch {
      return { kind: 'invalid' }
    }
    if (isLast) return closed(body, itemEnd + 1, end, items)
    if (items.length >= itemsMax) return read(items)
    work += itemEnd - at + itemCostBytes
    at = itemEnd + 1
    if (work >= sliceBytes) {
      work = 0
      await setImmediate()
    }
  }
}

function closed(body: Buffer, from: number, end: number, items: unknown[]): ListParsing {
  return body.toString('utf8', from, end).trim() === '' ? read(items) : { kind: 'invalid' }
}

/** Where the comma or bracket after an item stands; -1 where neither comes before `end`. */
function endOfItem(body: Buffer, from: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at += 1) {
    const byte = body[at]
    if (byte === quote) {
      at = endOfString(body, at + 1, end)
      if (at < 0) return -1
    } else if (byte === openList || byte === 0x7b) depth += 1
    else if (byte === closeList || byte === 0x7d) {
      if (depth === 0) return byte === closeList ? at : -1
      depth -= 1
    } else if (byte === comma && depth === 0) return at
  }
  return -1
}

function endOfString(body: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at += 1) {
    if (body[at] === backslash) at += 1
    else if (body[at] === quote) return at
  }
  return -1
}
