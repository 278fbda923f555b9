import { isIP } from 'node:net'

/** Whether a request that names this host may be answered; `host` as `Host` has it, with a port or without. */
export type TakesHost = (host: string) => boolean

/**
 * Names that always mean this machine: 127.0.0.0/8, [::1], localhost and its subdomains (RFC 6761, section 6.3). A web
 * page can make its own name resolve to this machine (DNS rebinding), but not these.
 */
function isLoopbackHost(host: string): boolean {
  const name = nameOf(host)
  if (name === undefined) return false
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  return isIP(name) === 4 ? name.startsWith('127.') : name === '[::1]'
}

/** @param names host names beside the loopback ones; `*` takes all of them */
export function createTakesHost(names: readonly string[]): TakesHost {
  if (names.includes('*')) return () => true
  const known = new Set(names.map((name) => nameOf(name)))
  return (host) => isLoopbackHost(host) || known.has(nameOf(host) ?? '')
}

/** Without port and final dot, in lower case; undefined where the text is not a host. */
function nameOf(host: string): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{0,5})?$/i.exec(host.trim()) ?? []
  return name?.toLowerCase().replace(/\.$/, '')
}
