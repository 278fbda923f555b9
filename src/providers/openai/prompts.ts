import type { JsonMember } from '#lib/json-members.ts'

const [quote, backslash, openBracket, closeBracket] = [0x22, 0x5c, 0x5b, 0x5d]

/**
 * How many prompts a legacy completion carries: a string or a list of numbers is one, a list of strings or of
 * lists of numbers is as many. Each is answered on its own. Stops counting beyond `max`.
 */
export function countPrompts(body: Buffer, member: JsonMember | undefined, max: number): number {
  if (!member || body[member.start] !== openBracket) return 1
  let count = 0
  let at = member.start + 1
  while (at < member.end && count <= max) {
    const byte = body[at]
    if (byte === quote) at = stringEnd(body, at + 1)
    else if (byte === openBracket) at = body.indexOf(closeBracket, at)
    // A number means that the list itself is one prompt.
    else if (byte !== undefined && byte > 0x2c && byte < 0x3a) return 1
    if (byte === quote || byte === openBracket) count += 1
    at += 1
  }
  return Math.max(1, count)
}

/** The offset of the closing quote. The body was scanned before, so the quote is there. */
function stringEnd(body: Buffer, from: number): number {
  for (let end = body.indexOf(quote, from); end >= 0; end = body.indexOf(quote, end + 1)) {
    let backslashes = 0
    while (body[end - 1 - backslashes] === backslash && end - backslashes > from) backslashes += 1
    if (backslashes % 2 === 0) return end
  }
  return body.length
}
