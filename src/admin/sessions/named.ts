import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { allows } from '#core/scopes.ts'
import type { LiveSession } from '#core/session.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'

/** The sessions that the caller may know of: those of its own key, and with `keys:write` those of every key. */
export async function visibleSessions(
  c: AdminContext,
  { store, clock }: AdminParts,
): Promise<readonly LiveSession[]> {
  const own = c.get('adminKey')
  const sessions = await store.sessions.listSessions(clock())
  if (own && allows(own.scopes, 'keys:write')) return sessions
  return sessions.filter(({ key }) => key.id === own?.id)
}

/** The session in the path: by its id, or the one of this request. */
export async function findNamedSession(c: AdminContext, parts: AdminParts): Promise<LiveSession | undefined> {
  const name = percentDecoded(c.get('target').path.split('/')[3] ?? '')
  const id = name === 'current' ? c.get('session')?.id : name
  return (await visibleSessions(c, parts)).find(({ session }) => session.id === id)
}
