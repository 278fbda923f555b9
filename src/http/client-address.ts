import { createNetworks, parseAddress } from '#core/network.ts'

/**
 * The client's address. Any client can send `X-Forwarded-For`, so it is read only from a trusted proxy, and from the
 * right, where the nearest proxy wrote: the first address that is not a trusted proxy's is the client. An entry that is
 * not an address ends the search, since the client may have invented everything left of it.
 */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | string[] | undefined) => string

/** Stands for a peer without an address: a Unix socket, or a connection that is closed already. */
const noAddress = 'unknown'

/** @param trustedProxies networks (`10.0.0.0/8`) or addresses, validated by the configuration */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = createNetworks(trustedProxies)
  return (peer, forwardedFor) => {
    const from = peer === undefined ? undefined : parseAddress(peer)
    if (from === undefined) return noAddress
    if (forwardedFor === undefined || !isTrusted(from)) return from
    let nearest = from
    for (const hop of hopsFromTheRight(forwardedFor)) {
      const address = parseAddress(withoutPort(hop))
      if (address === undefined) return nearest
      nearest = address
      if (!isTrusted(address)) return address
    }
    return nearest
  }
}

function hopsFromTheRight(forwardedFor: string | string[]): string[] {
  const line = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',')
  return line
    .split(',')
    .map((hop) => hop.trim())
    .reverse()
}

/** Some proxies append the client's port, or quote what holds colons: `192.0.2.1:4711`, `"[2001:db8::1]:4711"`. */
function withoutPort(written: string): string {
  const hop = /^"(.*)"$/.exec(written)?.[1] ?? written
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop)
  if (bracketed) return bracketed[1] ?? ''
  return /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? hop
}
