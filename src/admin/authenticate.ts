import { createMiddleware } from 'hono/factory'
import { createProblem } from '#core/errors.ts'
import { bearerOf } from '#http/credential.ts'
import { type AdminEnv, type AdminParts, answerProblem } from './context.ts'
import { addressOf } from './trace.ts'

const notForThis = 'This key is not for the admin API: that takes one with the scope "admin".'

/**
 * Lets administrators in and nobody else, before anything of the body is read. Only `Authorization: Bearer`
 * counts: no cookie and nothing in the URL. A missing credential is no guess, so it is not held against the
 * address; a wrong one is, and whoever has to wait is not looked up. A key of another scope is let in nowhere here.
 */
export function authenticate({ store, clock, throttle, clientAddress }: AdminParts) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const now = clock()
    const secret = bearerOf(c.req.header('authorization'))
    if (secret === undefined) {
      const message = 'Send an admin key as "Authorization: Bearer <key>".'
      return answerProblem(c, createProblem('missing_credential', message), now)
    }
    const address = addressOf(c, clientAddress)
    const retryAt = throttle.blockedUntil(address)
    if (retryAt !== undefined)
      return answerProblem(c, createProblem('throttled', undefined, { retryAt }), now)
    const adminKey = await store.adminKeys.findAdminKey(secret, now)
    if (!adminKey) {
      throttle.failed(address)
      return answerProblem(c, createProblem('unknown_admin_key'), now)
    }
    c.set('adminKey', adminKey)
    // A good key in the wrong place is no guess; nor does it clear those that were made from here.
    if (!adminKey.scopes.includes('admin'))
      return answerProblem(c, createProblem('forbidden', notForThis), now)
    throttle.succeeded(address)
    return next()
  })
}
