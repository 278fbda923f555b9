/** Where the elements of a JSON list lie, without parsing what they hold. The list must be well-formed JSON. */
export interface JsonElement {
  readonly start: number
  readonly end: number
}

/** The kind of a value, by its first byte. */
export const [quote, openList, openObject] = [0x22, 0x5b, 0x7b]
const [openNull, backslash, comma, space, closeList, closeObject] = [0x6e, 0x5c, 0x2c, 0x20, 0x5d, 0x7d]

/** @param start the opening bracket; `end` is the first byte after the closing one */
export function* elementsOf(body: Buffer, { start, end }: JsonElement): Generator<JsonElement> {
  let depth = 0
  let from = start + 1
  for (let at = start + 1; at < end; at += 1) {
    const byte = body[at] ?? 0
    if (byte === quote) at = stringEnd(body, at + 1, end)
    else if (byte === openList || byte === openObject) depth += 1
    else if (depth === 0 && (byte === comma || byte === closeList)) {
      const element = trimmed(body, from, at)
      if (element) yield element
      from = at + 1
    } else if (byte === closeList || byte === closeObject) depth -= 1
  }
}

/** Offset of the closing quote. */
function stringEnd(body: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && body[at] !== quote) at += body[at] === backslash ? 2 : 1
  return at
}

function trimmed(body: Buffer, from: number, until: number): JsonElement | undefined {
  let [start, end] = [from, until]
  while (start < end && (body[start] ?? 0) <= space) start += 1
  while (end > start && (body[end - 1] ?? 0) <= space) end -= 1
  return start < end ? { start, end } : undefined
}

/** Whether a value of well-formed JSON is null. */
export function isNull(body: Buffer, { start }: JsonElement): boolean {
  return body[start] === openNull
}

/** The offset of the first byte from here on that is not white space between JSON tokens. */
export function afterSpace(body: Buffer, from: number): number {
  let at = from
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at += 1
  return at
}
