import type { IncomingHttpHeaders } from 'node:http'

/**
 * The credential of an `Authorization: Bearer …` header; undefined where the header has none. The scheme's letter case
 * is ignored.
 */
export function bearerOf(authorization: string | undefined): string | undefined {
  const scheme = authorization === undefined ? undefined : /^bearer[ \t]+/i.exec(authorization)
  if (authorization === undefined || !scheme) return undefined
  return credentialText(authorization.slice(scheme[0].length))
}

/** Reads what a client presents; undefined where it presents nothing. */
export type CredentialReader = (headers: IncomingHttpHeaders) => string | undefined

/**
 * Reads `Authorization: Bearer`, or else the first of the protocols' own headers that holds something.
 *
 * @param names these headers, in lower case
 */
export function createCredentialReader(names: readonly string[]): CredentialReader {
  return (headers) => {
    const bearer = bearerOf(headers.authorization)
    if (bearer !== undefined) return bearer
    for (const name of names) {
      const value = headers[name]
      const text = typeof value === 'string' ? credentialText(value) : undefined
      if (text !== undefined) return text
    }
    return undefined
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Node reads header bytes as Latin-1. Chosen access tokens may hold any character, and clients send those as UTF-8
 * (curl) or, where possible, as Latin-1 (fetch): bytes that are valid UTF-8 are read as UTF-8.
 */
function credentialText(value: string): string | undefined {
  const text = value.trim()
  if (text === '') return undefined
  if (!/[\u0080-\u00ff]/.test(text)) return text
  try {
    return utf8.decode(Buffer.from(text, 'latin1'))
  } catch {
    return text
  }
}
