import { generateCookie, getCookie } from 'hono/cookie'
import { isLoopbackName } from '#core/network.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { isLoopbackHost } from '#http/host-name.ts'
import type { AdminContext } from './context.ts'
import { addressOf } from './trace.ts'

/**
 * A cookie for this host alone, never by plain HTTP, never for scripts. A browser takes a name with `__Host-` only with
 * these attributes, so that no other host or page of the same domain can set one. On this machine itself there is no TLS,
 * and the cookie has its bare name; it is accepted nowhere else.
 */
export interface HostCookie {
  readonly bareName: string
  /**
   * `Strict`: not with a request that another site begins. `Lax`: also with a navigation that another site begins, as a
   * redirect back from a provider.
   */
  readonly sameSite: 'Strict' | 'Lax'
}

/** What the request's cookie holds; undefined without one. */
export function readHostCookie(
  c: AdminContext,
  clientAddress: ClientAddress,
  { bareName }: HostCookie,
): string | undefined {
  const value = isOnThisMachine(c, clientAddress)
    ? (getCookie(c, bareName) ?? getCookie(c, bareName, 'host'))
    : getCookie(c, bareName, 'host')
  return value === '' ? undefined : value
}

/** `Set-Cookie` for a cookie that ends in so many milliseconds; 0 removes it. */
export function setHostCookie(
  c: AdminContext,
  clientAddress: ClientAddress,
  { bareName, sameSite }: HostCookie,
  { value, endsInMs }: { readonly value: string; readonly endsInMs: number },
): string {
  const attributes = { httpOnly: true, sameSite, path: '/', maxAge: Math.floor(endsInMs / 1000) } as const
  return isOnThisMachine(c, clientAddress)
    ? generateCookie(bareName, value, attributes)
    : generateCookie(bareName, value, { ...attributes, secure: true, prefix: 'host' })
}

/** By the address and by the name: behind a proxy on this machine the name is another one. */
export function isOnThisMachine(c: AdminContext, clientAddress: ClientAddress): boolean {
  return isLoopbackHost(c.req.header('host') ?? '') && isLoopbackName(addressOf(c, clientAddress))
}
