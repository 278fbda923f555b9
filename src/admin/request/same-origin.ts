import type { ClientAddress } from '#http/client-address.ts'
import type { AdminContext } from './context.ts'
import { isOnThisMachine } from './host-cookie.ts'

const safeMethods = ['GET', 'HEAD', 'OPTIONS']

/**
 * Whether a request with a session's cookie comes from a page of this host: else another site could make the browser send
 * it (CSRF). Browsers say it in `Sec-Fetch-Site`, which no page can set; old ones say the page's origin with everything
 * that changes something. A request that says neither comes from no browser, and should bring an admin key. The content
 * type does not matter: what is JSON to the server can be plain text to a form.
 */
export function isOfSameOrigin(c: AdminContext, clientAddress: ClientAddress): boolean {
  const isSafe = safeMethods.includes(c.req.method)
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin' || (isSafe && site === 'none')
  const origin = c.req.header('origin')
  if (origin === undefined) return isSafe
  const scheme = isOnThisMachine(c, clientAddress) ? 'http' : 'https'
  return origin.toLowerCase() === `${scheme}://${c.req.header('host')?.toLowerCase() ?? ''}`
}
