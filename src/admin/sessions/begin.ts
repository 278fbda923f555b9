import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { readSessionCookie, sessionCookie } from '#admin/request/session-cookie.ts'
import { addressOf } from '#admin/request/trace.ts'
import type { By } from '#core/change.ts'
import type { NewSession, Session } from '#core/session.ts'
import { randomBase62 } from '#lib/base62.ts'

const secretLength = 40

/** What a login has shown. */
interface Opener extends Pick<NewSession, 'openedBy' | 'keyId' | 'isCoded'> {
  /** When what opened it ends, at which the session ends too; absent: never. */
  readonly expiresAt?: number | undefined
}

/**
 * Begins a session. One that the browser had before ends, so that no session is carried over a login.
 *
 * @returns the session, and the `Set-Cookie` for it
 */
export async function beginSession(
  c: AdminContext,
  { store, clientAddress, sessionTimes }: AdminParts,
  { expiresAt: openerEnds = Number.POSITIVE_INFINITY, ...opener }: Opener,
  by: By,
): Promise<{ readonly session: Session; readonly cookie: string }> {
  const { now } = by
  const before = readSessionCookie(c, clientAddress)
  const old = before === undefined ? undefined : await store.sessions.findSession(before, now)
  if (old) await store.sessions.deleteSession(old.session.id, by)
  const expiresAt = Math.min(now + sessionTimes.longestMs, openerEnds)
  const idleUntil = Math.min(now + sessionTimes.idleMs, expiresAt)
  const secret = `tgs-${randomBase62(secretLength)}`
  const address = addressOf(c, clientAddress)
  const session = await store.sessions.insertSession({ ...opener, secret, address, expiresAt, idleUntil }, by)
  return { session, cookie: sessionCookie(c, clientAddress, secret, expiresAt - now) }
}
