/** A cursor for a client: opaque, and safe in a query without escapes. */
export function encodeCursor(fields: object): string {
  return Buffer.from(JSON.stringify(fields)).toString('base64url')
}

/** The decoded cursor, to be checked by a schema; undefined where the text cannot be decoded. */
export function decodeCursor(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
