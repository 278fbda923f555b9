/**
 * Parameters that the protocols define: versions and formats of the API, and what to include or to list of what the
 * provider keeps. No other one is passed on: it could hold a user's credential, or name another model to a server that
 * takes one from there.
 */
const passed: ReadonlySet<string> = new Set([
  'beta',
  'api-version',
  'alt',
  'stream',
  'include',
  'include[]',
  'include%5B%5D',
  'include%5b%5d',
  'starting_after',
  'include_obfuscation',
  'limit',
  'order',
  'after',
  'after_id',
  'before',
  'before_id',
  'page',
  'pageSize',
  'pageToken',
])

/** Parameters in which clients of other services send their credential. */
const credentialNames = /^(api[-_]?key|key|(access[-_]?)?token|auth(orization)?|x[-_]api[-_]key)$/i

/**
 * A request's query, with its question mark, as it is sent upstream: only what is known to be harmless.
 *
 * @param hasNoBody the request only reads or removes what the provider keeps. It runs no model, so that only credentials
 *   are taken out.
 */
export function passedQuery(query: string, hasNoBody = false): string {
  const parts = query.slice(1).split('&')
  const kept = parts.filter(hasNoBody ? holdsNoCredential : isPassed)
  if (kept.length === parts.length) return query
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function holdsNoCredential(part: string): boolean {
  return !part.split(';').some((each) => credentialNames.test(each.split('=', 1)[0] ?? ''))
}

/** Some servers take a semicolon for a second separator. */
function isPassed(part: string): boolean {
  return passed.has(part.split('=', 1)[0] ?? '') && !/;|%3b/i.test(part)
}
