import { isLoopbackName } from '#core/network.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import type { Provider } from '#providers/provider.ts'
import type { UpstreamConfig } from './config.ts'

/** The hosts of services that anyone may know. */
export function publicHostsOf(providers: readonly Provider[]): ReadonlySet<string> {
  const addresses = providers.flatMap(({ publicBaseUrl, presets }) => [
    publicBaseUrl,
    ...presets.flatMap(({ baseUrl, hostedUrl, isLocal }) => [isLocal ? undefined : baseUrl, hostedUrl]),
  ])
  return new Set(addresses.flatMap((address) => (address === undefined ? [] : [new URL(address).host])))
}

const secretName = /auth|cookie|cred|key|pass|secret|sign|token/i
/** A value like a key or a UUID; names of versions and features have words and shorter figures. */
const secretValue = /^(?=[A-Za-z]*\d)[A-Za-z0-9_]{16,}$|^[0-9a-f]{8}-[0-9a-f-]{27}$/i

/**
 * What the operator has configured for an upstream and no user may see: the credential, secret headers, the user and
 * password of the address, and the host where it is no public service's.
 */
export function ownWordsOf(
  { apiKey, baseUrl, headers = {} }: UpstreamConfig,
  publicHosts: ReadonlySet<string>,
): readonly string[] {
  const { host, hostname, username, password, searchParams } = new URL(baseUrl)
  const secrets = Object.entries({ ...headers, ...Object.fromEntries(searchParams) }).flatMap(
    ([name, value]) => (secretName.test(name) || secretValue.test(value) ? [value, ...value.split(' ')] : []),
  )
  const user = [username, password].map((text) => percentDecoded(text) ?? text)
  // A loopback name says nothing of the operator, and errors of any program may hold it.
  const own = publicHosts.has(host) ? [] : isLoopbackName(hostname) ? [host] : [host, hostname]
  return [...(apiKey === undefined ? [] : [apiKey]), ...secrets, ...user, ...own]
}
