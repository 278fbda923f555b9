import { BlockList, isIP, isIPv6 } from 'node:net'

/**
 * Addresses and networks. An IPv4 address that arrives mapped into IPv6 (`::ffff:192.0.2.1`) is that IPv4
 * address; an IPv6 client is known by its /64, since it owns all of it.
 */
export type Networks = (address: string) => boolean

/** A bare IPv4 or IPv6 address in its plain form, or undefined where the text is none. */
export function parseAddress(text: string): string | undefined {
  const plain = text.toLowerCase().startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text
  const bare = plain.split('%')[0] ?? ''
  return isIP(bare) === 0 ? undefined : bare
}

/** Whether a text is a network such as `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  if (bits === undefined) return true
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}

/** Makes a test for membership in any of `networks`; those that are none must have been refused before. */
export function createNetworks(networks: readonly string[]): Networks {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const plain = parseAddress(address)
    return plain !== undefined && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}

/** What limits count as one place: an IPv4 address, or an IPv6 /64 written as `2001:db8:0:1::/64`. */
export function placeOf(address: string): string {
  // Without a colon it is IPv4 in its one form, or no address at all.
  if (!address.includes(':')) return address
  const plain = parseAddress(address)
  if (plain === undefined || !isIPv6(plain)) return plain ?? address
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...after]
  const kept = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${kept.join(':')}::/64`
}
