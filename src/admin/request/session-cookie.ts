import { generateCookie, getCookie } from 'hono/cookie'
import { isLoopbackName } from '#core/network.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { isLoopbackHost } from '#http/host-name.ts'
import type { AdminContext } from './context.ts'
import { addressOf } from './trace.ts'

/**
 * The cookie of a session: for this host alone, never by plain HTTP, never for scripts, never with a request that another
 * site begins. A browser takes a name with `__Host-` only with these attributes, so that no other host or page of the
 * same domain can set one. On this machine itself there is no TLS, and the cookie has its bare name; it is accepted
 * nowhere else.
 */
const bareName = 'tollgate-session'

/** What the request's cookie holds; undefined without one. */
export function readSessionCookie(c: AdminContext, clientAddress: ClientAddress): string | undefined {
  const value = isOnThisMachine(c, clientAddress)
    ? (getCookie(c, bareName) ?? getCookie(c, bareName, 'host'))
    : getCookie(c, bareName, 'host')
  return value === '' ? undefined : value
}

/** `Set-Cookie` for a session that ends in so many milliseconds. */
export function sessionCookie(
  c: AdminContext,
  clientAddress: ClientAddress,
  secret: string,
  endsInMs: number,
): string {
  const attributes = {
    httpOnly: true,
    sameSite: 'Strict',
    path: '/',
    maxAge: Math.floor(endsInMs / 1000),
  } as const
  return isOnThisMachine(c, clientAddress)
    ? generateCookie(bareName, secret, attributes)
    : generateCookie(bareName, secret, { ...attributes, secure: true, prefix: 'host' })
}

/** `Set-Cookie` that removes it. */
export function endedCookie(c: AdminContext, clientAddress: ClientAddress): string {
  return sessionCookie(c, clientAddress, '', 0)
}

/** By the address and by the name: behind a proxy on this machine the name is another one. */
export function isOnThisMachine(c: AdminContext, clientAddress: ClientAddress): boolean {
  return isLoopbackHost(c.req.header('host') ?? '') && isLoopbackName(addressOf(c, clientAddress))
}
