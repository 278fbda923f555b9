import { isMask, maskOf } from '#core/access-token.ts'
import { allows } from '#core/scopes.ts'
import type { AdminContext } from './context.ts'

/**
 * How a request sees access tokens: in clear with `tokens:reveal`, else masked. Whatever shows a user asks for one, so
 * that no answer can forget it.
 */
export interface TokenSight {
  readonly isMasked: boolean
  readonly show: (accessToken: string) => string
  /** Whether a text is only a mask, which names no user: one who sees masks might send it back. */
  readonly isMask: (text: string) => boolean
}

/** For an answer that hands an access token out. */
export const clear: TokenSight = { isMasked: false, show: (accessToken) => accessToken, isMask: () => false }
const masked: TokenSight = { isMasked: true, show: maskOf, isMask }

/**
 * A page never gets the tokens of a whole list: a session sees masks, and asks for a single token by `reveal`, which is
 * written down by itself.
 */
export function tokenSightOf(c: AdminContext): TokenSight {
  return c.get('session') === undefined ? grantedSightOf(c) : masked
}

/** By the scopes alone, for what is asked for its access tokens: an export, a new token. */
export function grantedSightOf(c: AdminContext): TokenSight {
  return allows(c.get('adminKey')?.scopes ?? [], 'tokens:reveal') ? clear : masked
}

/** What is wrong with a mask where an access token is asked for. */
export const maskIssue = 'is a masked token, which names no user: name the user by id'
