import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

/**
 * Addresses and networks. Each address is compared, counted and stored in one form, that of RFC 5952, however it was
 * spelt. An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`, or `::ffff:c000:201`) becomes that IPv4 address.
 * An IPv6 client counts by its /64, since it owns the whole network.
 */
export type Networks = (address: string) => boolean

/**
 * A bare IPv4 or IPv6 address in its one form (RFC 5952, without a zone), or undefined where the text is not an
 * address.
 */
export function parseAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text)) return undefined
  const written = serialised(text)
  return unmapped(written) ?? written
}

/** The form of RFC 5952, section 4, in which the URL standard writes an IPv6 host as well. */
function serialised(address: string): string {
  const [bare = ''] = address.split('%', 1)
  return new URL(`http://[${bare}]`).hostname.slice(1, -1)
}

/** The IPv4 address that is mapped into a serialised IPv6 address. */
function unmapped(address: string): string | undefined {
  if (!address.startsWith('::ffff:')) return undefined
  const [high = '', low = '', ...more] = address.slice(7).split(':')
  if (high === '' || low === '' || more.length > 0) return undefined
  const [a, b] = [high, low].map((group) => Number.parseInt(group, 16))
  return [a, b].map((pair = 0) => `${pair >> 8}.${pair & 255}`).join('.')
}

const mappedBits = 96

/**
 * A network such as `10.0.0.0/8` or `2001:db8::/32`, or one address, with the address in its one form; undefined where
 * the text is not a network. Host bits may be set; they are ignored. A network of mapped addresses becomes the IPv4
 * network.
 */
export function parseNetwork(text: string): string | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const known = parseAddress(address)
  if (known === undefined || more.length > 0) return undefined
  if (bits === undefined) return known
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (isIPv4(address) ? 32 : 128)) return undefined
  if (isIPv4(address) || isIPv6(known)) return `${known}/${Number(bits)}`
  if (Number(bits) >= mappedBits) return `${known}/${Number(bits) - mappedBits}`
  return `${serialised(address)}/${Number(bits)}`
}

export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined
}

/** Makes a test for membership in any of `networks`, which have been validated before. */
export function createNetworks(networks: readonly string[]): Networks {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = (parseNetwork(network) ?? network).split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const plain = parseAddress(address)
    return plain !== undefined && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}

/**
 * Whether every address of `inner` belongs to `outer`, each a list of validated networks. Without a list it is every
 * address there is.
 */
export function isWithinNetworks(inner: readonly string[] | undefined, outer: readonly string[]): boolean {
  return inner?.every((network) => outer.some((wide) => holdsNetwork(wide, network))) ?? false
}

/** Whether one network holds all of another: it is at least as wide, and holds its address. */
function holdsNetwork(wide: string, narrow: string): boolean {
  const [address = '', bits] = narrow.split('/')
  const full = isIPv6(address) ? 128 : 32
  const [wideAddress = '', wideBits] = wide.split('/')
  const wideFull = isIPv6(wideAddress) ? 128 : 32
  return (
    full === wideFull &&
    Number(wideBits ?? wideFull) <= Number(bits ?? full) &&
    createNetworks([wide])(address)
  )
}

/** The place that limits count an address as: an IPv4 address, or an IPv6 /64 written as `2001:db8:0:1::/64`. */
export function placeOf(address: string): string {
  // A text without a colon is an IPv4 address in its one form, or not an address.
  if (!address.includes(':')) return address
  const known = parseAddress(address)
  if (known === undefined || !isIPv6(known)) return known ?? address
  return `${firstGroups(known, 4)}::/64`
}

/** The /48 around an IPv6 place, which a single guesser may own; undefined for every other place. */
export function widerPlaceOf(place: string): string | undefined {
  if (!place.endsWith('::/64')) return undefined
  return `${place.slice(0, -'::/64'.length).split(':').slice(0, 3).join(':')}::/48`
}

/** The first `count` groups of an IPv6 address, expanded. */
function firstGroups(address: string, count: number): string {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  return [...before, ...zeros, ...after].slice(0, count).join(':')
}

/**
 * Whether a host name always means this machine: 127.0.0.0/8, ::1, localhost and its subdomains (RFC 6761, section 6.3).
 *
 * @param name in lower case; an IPv6 address with its brackets or without
 */
export function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  return isIP(name) === 4 ? name.startsWith('127.') : name === '[::1]' || name === '::1'
}
