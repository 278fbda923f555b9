import type { Provider } from './provider.ts'

/** What holds for all protocols together, gathered from each of them when a process starts. */

export function pathPrefixesOf(providers: readonly Provider[]): readonly string[] {
  return unique(providers.map(({ pathPrefix }) => pathPrefix))
}

/** Headers in which clients of any protocol may send their access token. */
export function accessTokenHeadersOf(providers: readonly Provider[]): readonly string[] {
  return unique(providers.flatMap(({ accessTokenHeaders }) => accessTokenHeaders))
}

/** Headers that may hold a credential in any protocol. */
export function privateHeadersOf(providers: readonly Provider[]): readonly string[] {
  return unique(
    providers.flatMap(({ accessTokenHeaders, privateHeaders, credentialHeaders }) => [
      ...accessTokenHeaders,
      ...privateHeaders,
      ...Object.keys(credentialHeaders('')).map((name) => name.toLowerCase()),
    ]),
  )
}

/** Tests whether a target, with or without a query, is below one of these prefixes. */
export function createPrefixTest(prefixes: readonly string[]): (target: string) => boolean {
  const begins = prefixes.flatMap((prefix) => [`${prefix}/`, `${prefix}?`])
  return (target) => {
    for (const begin of begins) if (target.startsWith(begin)) return true
    return prefixes.includes(target)
  }
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)]
}
