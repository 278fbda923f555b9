/** The admin key of the servers under measurement. */
export const benchAdminKey = 'bench-admin-key-1'

/** The bytes of a request to the admin API. */
export function adminBytes(method: string, path: string, body?: unknown): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body)
  const content =
    body === undefined
      ? ''
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${benchAdminKey}\r\n${content}\r\n${text}`,
  )
}
