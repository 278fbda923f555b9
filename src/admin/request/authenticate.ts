import { createMiddleware } from 'hono/factory'
import { createProblem, createThrottled, type Problem } from '#core/errors.ts'
import { allows, type Need } from '#core/scopes.ts'
import { bearerOf } from '#http/credential.ts'
import { findKey, type KeyFound } from '#http/key-door.ts'
import { renderRefusal } from './answer.ts'
import type { AdminEnv, AdminParts } from './context.ts'
import { addressOf } from './trace.ts'

const notForThis = 'This key is not for the admin API: that takes one with the scope "admin".'

/**
 * Admits requests with an admin key that meets the route's need, before any of the body is read. Only `Authorization:
 * Bearer` counts: no cookie, no part of the URL. A missing credential is not a guess and does not count against the
 * address; a wrong one does. A valid key is admitted even from an address that is throttled for guessing; any other
 * request from there is told to wait. A key of another scope is refused.
 */
export function authenticate({ store, clock, throttle, clientAddress, keyUsed }: AdminParts, need: Need) {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const now = clock()
    const secret = bearerOf(c.req.header('authorization'))
    if (secret === undefined) {
      const message = 'Send an admin key as "Authorization: Bearer <key>".'
      return renderRefusal(c, createProblem('missing_credential', message), now)
    }
    const address = addressOf(c, clientAddress)
    const found = await findKey(
      throttle,
      { address, from: address, secret, need },
      { find: () => store.adminKeys.findAdminKey(secret, now), used: keyUsed },
    )
    if ('key' in found) c.set('adminKey', found.key)
    return found.kind === 'in' ? next() : renderRefusal(c, problemOf(found, need, now), now)
  })
}

function problemOf(found: Exclude<KeyFound, { readonly kind: 'in' }>, need: Need, now: number): Problem {
  switch (found.kind) {
    case 'unknown':
      return createProblem('unknown_admin_key')
    case 'out_of_scope':
      return createProblem(
        'forbidden',
        allows(found.key.scopes, 'any') ? `This key lacks the scope "${need}".` : notForThis,
      )
    case 'elsewhere':
      return createProblem('address_not_allowed', 'This key is not for this address.')
    case 'throttled':
      return createThrottled(found.waitMs, now)
  }
}
