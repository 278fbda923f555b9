import type { AdmittedUser } from '#core/admission-ask.ts'

/**
 * Times in seconds, as everywhere in OAuth. `exp` is the known end of the access token: the expiry, or a `disabledAt`
 * in the future.
 */
export function toIntrospection(user: AdmittedUser | undefined) {
  if (!user) return { active: false }
  const { id, nickname, type, blockedFrom } = user
  return {
    active: true,
    sub: id,
    scope: 'llm',
    token_type: 'Bearer',
    ...(nickname !== undefined && { username: nickname }),
    ...(blockedFrom !== undefined && { exp: Math.floor(blockedFrom / 1000) }),
    user_type: type,
  }
}
