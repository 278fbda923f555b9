import { createNetworks, parseAddress } from '#core/network.ts'

/**
 * Who is asking. Anybody can write an `X-Forwarded-For`, so it counts only where a proxy that the operator named
 * brought it, and is read from the right, where the nearest proxy wrote: the first address that is not one of
 * ours is the client. What is no address ends the walk, since everything left of it is the client's own invention.
 */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | string[] | undefined) => string

/** What stands for a peer that has no address: a Unix socket, or one that has gone already. */
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
