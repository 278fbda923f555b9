import type { AdmittedUser } from '#core/admission-ask.ts'

/**
 * Times in seconds, as everywhere in OAuth. `exp` is the known end of the access token: the expiry, a `disabledAt` in the
 * future, or the end of one that was rotated.
 */
export function toIntrospection(user: AdmittedUser | undefined) {
  if (!user) return { active: false }
  const { id, nickname, type, blockedFrom = Infinity, tokenUntil = Infinity } = user
  const endsAt = Math.min(blockedFrom, tokenUntil)
  return {
    active: true,
    sub: id,
    scope: 'llm',
    token_type: 'Bearer',
    ...(nickname !== undefined && { username: nickname }),
    ...(endsAt !== Infinity && { exp: Math.floor(endsAt / 1000) }),
    user_type: type,
  }
}
