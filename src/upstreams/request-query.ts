/** Parameters in which clients of other services send their credential. */
const credentialNames = /^(api[-_]?key|key|(access[-_]?)?token|auth(orization)?|x[-_]api[-_]key)$/i

/**
 * A request's query, with its question mark, as it is sent upstream: without parameters that may hold a user's access
 * token.
 */
export function passedQuery(query: string): string {
  const parts = query.slice(1).split('&')
  const passed = parts.filter((part) => !credentialNames.test(part.split('=', 1)[0] ?? ''))
  if (passed.length === parts.length) return query
  return passed.length === 0 ? '' : `?${passed.join('&')}`
}
