import { createMiddleware } from 'hono/factory'
import { logAccess } from '#http/access-log.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { createRequestId } from '#http/request-id.ts'
import { securityHeaders } from '#http/security-headers.ts'
import type { AdminContext, AdminEnv, AdminParts } from './context.ts'
import { parseRequestTarget } from './target.ts'

/** Gives every request its id, every answer its common headers, and the log one line a request. */
export function trace(parts: AdminParts) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const startedAt = performance.now()
    c.set('requestId', createRequestId(parts.clock()))
    c.set('target', parseRequestTarget(c.env?.incoming?.url ?? pathAndQueryOf(c.req.raw.url)))
    await next()
    // Set on the final response, whether a handler, a refusal or the error handler made it.
    c.res.headers.set('x-request-id', c.get('requestId'))
    // Data is never kept; the console's own files say how long they are.
    for (const [name, value] of Object.entries({ ...securityHeaders, 'cache-control': 'no-store' }))
      if (!c.res.headers.has(name)) c.res.headers.set(name, value)
    const { status } = c.res
    const log = () => writeLine(c, parts, status, performance.now() - startedAt)
    // A streamed list ends long after its handler; the logged duration includes the stream.
    const outgoing = c.env?.outgoing
    if (outgoing) outgoing.once('close', log)
    else log()
  })
}

/** The client's address, by the rules for trusted proxies. */
export function addressOf(c: AdminContext, clientAddress: ClientAddress): string {
  const incoming = c.env?.incoming
  return clientAddress(incoming?.socket.remoteAddress, incoming?.headers['x-forwarded-for'])
}

function writeLine(c: AdminContext, parts: AdminParts, status: number, durationMs: number): void {
  logAccess(parts.log, {
    requestId: c.get('requestId'),
    method: c.req.method,
    route: c.get('route') ?? 'none',
    status,
    code: c.get('code'),
    durationMs,
    address: addressOf(c, parts.clientAddress),
    userId: c.get('userId'),
    adminKeyId: c.get('adminKey')?.id,
    sessionId: c.get('session')?.id,
  })
}

function pathAndQueryOf(url: string): string {
  return url.replace(/^[a-z]+:\/\/[^/?#]*/i, '')
}
