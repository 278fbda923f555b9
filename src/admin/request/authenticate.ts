import { createMiddleware } from 'hono/factory'
import { createProblem, createThrottled, type Problem } from '#core/errors.ts'
import { allows, type Need } from '#core/scopes.ts'
import { isRenewalDue, type LiveSession } from '#core/session.ts'
import { bearerOf } from '#http/credential.ts'
import { damagedKeyAdvice, damagedKeyNews, findKey, type KeyFound } from '#http/key-door.ts'
import { renderRefusal } from './answer.ts'
import type { AdminContext, AdminEnv, AdminParts } from './context.ts'
import type { NoteFailedLogin } from './failed-logins.ts'
import { isOfSameOrigin } from './same-origin.ts'
import { endedCookie, readSessionCookie } from './session-cookie.ts'
import { addressOf } from './trace.ts'

/** What a route asks of a request. */
export interface Guard {
  readonly need: Need
  /** `key`: only an admin key itself opens it, no session; a session's cookie is left aside. */
  readonly credential?: 'key'
}

interface GuardParts extends AdminParts {
  readonly noteFailure: NoteFailedLogin
}

const notForThis = 'This key is not for the admin API: that takes one with the scope "admin".'
const missing = 'Send an admin key as "Authorization: Bearer <key>".'
const sessionsOnly =
  'This key has a second factor, so that it opens sessions only: log in at POST /admin/sessions with a code.'
const mixed = 'Send an admin key or the cookie of a session, not both.'
const crossSite = 'This request was begun by another site than the one that it is for.'

/**
 * Admits requests with an admin key, or the session of one, that meets the route's need, before any of the body is read.
 * Only `Authorization: Bearer` and the session's cookie count, never both, and no part of the URL. A missing credential
 * is not a guess and does not count against the address; a wrong one does. A valid one is admitted even from an address
 * that is throttled for guessing; any other request from there is told to wait. A key of another scope is refused.
 */
export function authenticate(parts: GuardParts, guard: Guard) {
  const { clock, clientAddress, log } = parts
  return createMiddleware<AdminEnv>(async (c, next) => {
    const now = clock()
    const problem = await problemOfCredential(c, parts, guard, now)
    if (!problem) return next()
    const key = c.get('adminKey')
    if (key?.isDamaged) log.error({ requestId: c.get('requestId'), adminKeyId: key.id }, damagedKeyNews)
    const refusal = renderRefusal(c, problem, now)
    if (problem.code === 'session_ended') refusal.headers.set('set-cookie', endedCookie(c, clientAddress))
    return refusal
  })
}

async function problemOfCredential(
  c: AdminContext,
  parts: GuardParts,
  guard: Guard,
  now: number,
): Promise<Problem | undefined> {
  const cookie = guard.credential === 'key' ? undefined : readSessionCookie(c, parts.clientAddress)
  if (cookie === undefined) return byKey(c, parts, guard, now)
  if (c.req.header('authorization') !== undefined) return createProblem('bad_request', mixed)
  if (!isOfSameOrigin(c, parts.clientAddress)) return createProblem('forbidden', crossSite)
  return bySession(c, parts, { ...guard, cookie }, now)
}

async function byKey(
  c: AdminContext,
  { store, throttle, clientAddress, keyUsed, noteFailure }: GuardParts,
  { need, credential }: Guard,
  now: number,
): Promise<Problem | undefined> {
  const secret = bearerOf(c.req.header('authorization'))
  if (secret === undefined) return createProblem('missing_credential', missing)
  const address = addressOf(c, clientAddress)
  const found = await findKey(
    throttle,
    { address, from: address, secret, need },
    { find: () => store.adminKeys.findAdminKey(secret, now), used: keyUsed },
  )
  if ('key' in found) c.set('adminKey', found.key)
  if (found.kind === 'unknown') noteFailure({ address, requestId: c.get('requestId') })
  const problem = problemOf(found, need, now)
  if (problem || credential === 'key' || found.kind !== 'in') return problem
  return found.key.secondFactorAt === undefined ? undefined : createProblem('code_needed', sessionsOnly)
}

async function bySession(
  c: AdminContext,
  { store, throttle, clientAddress, keyUsed, sessionTimes }: AdminParts,
  { need, cookie }: Guard & { readonly cookie: string },
  now: number,
): Promise<Problem | undefined> {
  const address = addressOf(c, clientAddress)
  let live: LiveSession | undefined
  const find = async () => {
    live = await store.sessions.findSession(cookie, now)
    return live?.key
  }
  const found = await findKey(
    throttle,
    { address, from: address, secret: cookie, need },
    { find, used: keyUsed },
  )
  if (live && 'key' in found) {
    c.set('adminKey', found.key)
    c.set('session', live.session)
  }
  if (found.kind === 'unknown') return createProblem('session_ended')
  const problem = problemOf(found, need, now)
  if (!problem && live && isRenewalDue(live.session, sessionTimes, now)) {
    const idleUntil = Math.min(now + sessionTimes.idleMs, live.session.expiresAt)
    await store.sessions.renewSession(live.session.id, idleUntil)
  }
  return problem
}

function problemOf(found: KeyFound, need: Need, now: number): Problem | undefined {
  switch (found.kind) {
    case 'in':
      return undefined
    case 'unknown':
      return createProblem('unknown_admin_key')
    case 'out_of_scope':
      return createProblem(
        'forbidden',
        allows(found.key.scopes, 'any') ? `This key lacks the scope "${need}".` : notForThis,
      )
    case 'damaged':
      return createProblem('forbidden', damagedKeyAdvice)
    case 'elsewhere':
      return createProblem('address_not_allowed', 'This key is not for this address.')
    case 'throttled':
      return createThrottled(found.waitMs, now)
  }
}
