/** A cursor as a client gets it: opaque, and in a query it needs no escape. */
export function encodeCursor(fields: object): string {
  return Buffer.from(JSON.stringify(fields)).toString('base64url')
}

/** What a cursor says, for a schema to look at; undefined where the text is not even of that form. */
export function decodeCursor(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
