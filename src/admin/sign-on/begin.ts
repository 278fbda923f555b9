import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { createProblem } from '#core/errors.ts'
import type { SignOn } from '#core/sign-on.ts'
import { pendingCookie } from './cookie.ts'
import { renderSignOnProblem } from './problem.ts'

const returnToDefault = '/console'
const returnToLengthMax = 512

/** GET /admin/sessions/sign-on: sends the browser to the provider. */
export async function beginSignOn(c: AdminContext, signOn: SignOn, parts: AdminParts): Promise<Response> {
  const returnTo = returnToOf(c.get('target').query)
  if (returnTo === undefined)
    return renderSignOnProblem(c, createProblem('bad_request', wrongReturn), parts.clock())
  const begun = await signOn.begin(returnTo)
  if (begun.kind === 'unavailable')
    return renderSignOnProblem(c, createProblem('upstream_failed', unreachable), parts.clock())
  const cookie = pendingCookie(c, parts.clientAddress, signOn.seal(begun.pending))
  return new Response(null, { status: 302, headers: { location: begun.url, 'set-cookie': cookie } })
}

/** A path of this host: what begins with two slashes, or a backslash, is another one for a browser. */
function returnToOf(query: string | undefined): string | undefined {
  const asked = new URLSearchParams(query).get('returnTo')
  if (asked === null) return returnToDefault
  return asked.length <= returnToLengthMax && /^\/(?![/\\])[^\\\p{C}]*$/u.test(asked) ? asked : undefined
}

const wrongReturn = 'returnTo must be a path of this host, such as /docs, of at most 512 characters.'
export const unreachable =
  'The provider of the sign-on cannot be reached, or is not set up for this. Try again shortly; the log has the reason.'
