import { allows, permissions } from '#core/scopes.ts'
import type { LiveSession } from '#core/session.ts'
import type { SessionAnswer } from './schemas.ts'

/** @param currentId the session to which the request belongs */
export function toSessionAnswer({ session, key }: LiveSession, currentId: string | undefined): SessionAnswer {
  const { keyId: _, person, ...rest } = session
  return {
    ...rest,
    key: { id: key.id, name: key.name },
    ...(person && { person: { subject: person.subject, groups: [...person.groups] } }),
    scopes: [...key.scopes],
    permissions: permissions.filter((permission) => allows(key.scopes, permission)),
    isCurrent: session.id === currentId,
  }
}
