import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { createProblem } from '#core/errors.ts'
import { type Reading, refused } from '#core/reading.ts'
import { isLoopbackHost, isWrittenHost } from '#http/host-name.ts'
import { read } from '#lib/reading.ts'

const apart = 'The admin API has a listener of its own here, and links need the other one: set PUBLIC_URL.'
const noHost = 'The request has no usable Host, from which the link could be made: set PUBLIC_URL.'

/**
 * The address under which a holder opens a link with a code: `PUBLIC_URL`, or else the host that the request itself names.
 * `X-Forwarded-Host` is not read: a proxy that does not set it passes on what a client wrote. A wrong host would reach
 * only the administrator who sent it. Away from this machine it is `https`, as for sessions.
 */
export function baseOfLinks(
  c: AdminContext,
  { publicUrl, isApart }: Pick<AdminParts, 'publicUrl' | 'isApart'>,
): Reading<string> {
  if (publicUrl !== undefined) return read(publicUrl)
  if (isApart) return refused(createProblem('conflict', apart))
  const host = c.req.header('host') ?? ''
  if (!isWrittenHost(host)) return refused(createProblem('bad_request', noHost))
  return read(`${isLoopbackHost(host) ? 'http' : 'https'}://${host}`)
}

/** The code is a fragment: browsers send it to no server, and in no `Referer`. */
export function linkOf(base: string, code: string): string {
  return `${base}/claim#${code}`
}
