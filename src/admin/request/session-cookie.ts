import type { ClientAddress } from '#http/client-address.ts'
import type { AdminContext } from './context.ts'
import { type HostCookie, readHostCookie, setHostCookie } from './host-cookie.ts'

/** The cookie of a session: never with a request that another site begins. */
const cookie: HostCookie = { bareName: 'tollgate-session', sameSite: 'Strict' }

/** What the request's cookie holds; undefined without one. */
export function readSessionCookie(c: AdminContext, clientAddress: ClientAddress): string | undefined {
  return readHostCookie(c, clientAddress, cookie)
}

/** `Set-Cookie` for a session that ends in so many milliseconds. */
export function sessionCookie(
  c: AdminContext,
  clientAddress: ClientAddress,
  secret: string,
  endsInMs: number,
): string {
  return setHostCookie(c, clientAddress, cookie, { value: secret, endsInMs })
}

/** `Set-Cookie` that removes it. */
export function endedCookie(c: AdminContext, clientAddress: ClientAddress): string {
  return sessionCookie(c, clientAddress, '', 0)
}
