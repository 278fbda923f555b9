import type { Provider } from './provider.ts'

/**
 * The headers that carry an upstream's credential, by their names in lower case.
 *
 * @param header the header that the operator has set in place of the protocol's
 */
export function credentialHeadersOf(
  provider: Provider,
  apiKey: string,
  header: string | undefined,
): Readonly<Record<string, string>> {
  const name = header?.toLowerCase()
  if (name !== undefined) return { [name]: name === 'authorization' ? `Bearer ${apiKey}` : apiKey }
  return Object.fromEntries(
    Object.entries(provider.credentialHeaders(apiKey)).map(([key, value]) => [key.toLowerCase(), value]),
  )
}
