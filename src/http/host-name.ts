import { isLoopbackName } from '#core/network.ts'

/** Whether a request that names this host may be answered; `host` as `Host` has it, with a port or without. */
export type TakesHost = (host: string) => boolean

/**
 * A web page can make its own name resolve to this machine (DNS rebinding), but not the loopback names.
 *
 * @param names host names beside the loopback ones; `*` takes all of them
 */
export function createTakesHost(names: readonly string[]): TakesHost {
  if (names.includes('*')) return () => true
  const known = new Set(names.map((name) => nameOf(name)))
  return (host) => {
    const name = nameOf(host)
    return name !== undefined && (isLoopbackName(name) || known.has(name))
  }
}

/** Whether a `Host` header names this machine itself. */
export function isLoopbackHost(host: string): boolean {
  const name = nameOf(host)
  return name !== undefined && isLoopbackName(name)
}

/** Whether a text is a host with a port or without, and nothing else. */
export function isWrittenHost(host: string): boolean {
  return nameOf(host) !== undefined && host === host.trim()
}

/** Without port and final dot, in lower case; undefined where the text is not a host. */
function nameOf(host: string): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{0,5})?$/i.exec(host.trim()) ?? []
  return name?.toLowerCase().replace(/\.$/, '')
}
