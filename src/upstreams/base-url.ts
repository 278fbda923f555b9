import { percentDecoded } from '#lib/percent-decoded.ts'

/** The further parts of a base address: a query such as Azure's `api-version`, and a user and password. */

/** Adds the base address' query to a path; it overrides parameters of the path. */
export function createPathBuilder(base: URL): (path: string) => string {
  const own = base.search.slice(1)
  if (own === '') return (path) => path
  const names = new Set(base.searchParams.keys())
  return (path) => {
    const query = path.indexOf('?')
    if (query < 0) return `${path}?${own}`
    const others = path
      .slice(query + 1)
      .split('&')
      .filter((part) => part !== '' && !names.has(nameOf(part)))
    return `${path.slice(0, query)}?${[own, ...others].join('&')}`
  }
}

function nameOf(part: string): string {
  for (const name of new URLSearchParams(part).keys()) return name
  return ''
}

/** RFC 7617, in UTF-8; undefined where the address has no user. */
export function basicCredential({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  const pair = `${percentDecoded(username) ?? username}:${percentDecoded(password) ?? password}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}
