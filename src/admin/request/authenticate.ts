import { createMiddleware } from 'hono/factory'
import { createProblem, createThrottled } from '#core/errors.ts'
import { bearerOf } from '#http/credential.ts'
import { findKey } from '#http/key-door.ts'
import { renderRefusal } from './answer.ts'
import type { AdminEnv, AdminParts } from './context.ts'
import { addressOf } from './trace.ts'

const notForThis = 'This key is not for the admin API: that takes one with the scope "admin".'

/**
 * Admits requests with an admin key only, before any of the body is read. Only `Authorization: Bearer` counts: no
 * cookie, no part of the URL. A missing credential is not a guess and does not count against the address; a wrong one
 * does. A valid key is admitted even from an address that is throttled for guessing; any other request from there is
 * told to wait. A key of another scope is refused.
 */
export function authenticate({ store, clock, throttle, clientAddress }: AdminParts) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const now = clock()
    const secret = bearerOf(c.req.header('authorization'))
    if (secret === undefined) {
      const message = 'Send an admin key as "Authorization: Bearer <key>".'
      return renderRefusal(c, createProblem('missing_credential', message), now)
    }
    const presented = { address: addressOf(c, clientAddress), secret, scope: 'admin' }
    const found = await findKey(throttle, presented, () => store.adminKeys.findAdminKey(secret, now))
    if ('key' in found) c.set('adminKey', found.key)
    switch (found.kind) {
      case 'in':
        return next()
      case 'unknown':
        return renderRefusal(c, createProblem('unknown_admin_key'), now)
      case 'out_of_scope':
        return renderRefusal(c, createProblem('forbidden', notForThis), now)
      case 'throttled':
        return renderRefusal(c, createThrottled(found.waitMs, now), now)
    }
  })
}
