/** Under these names clients of other services put their credential into an address. */
const credentialNames = /^(api[-_]?key|key|(access[-_]?)?token|auth(orization)?|x[-_]api[-_]key)$/i

/** A request's query, with its question mark, as it goes upstream: without what may hold a user's access token. */
export function passedQuery(query: string): string {
  const parts = query.slice(1).split('&')
  const passed = parts.filter((part) => !credentialNames.test(part.split('=', 1)[0] ?? ''))
  if (passed.length === parts.length) return query
  return passed.length === 0 ? '' : `?${passed.join('&')}`
}
