import type { TokenSight } from '#admin/request/token-sight.ts'
import { accessTokenIssues } from '#admin/users/wire.ts'
import { parsePreviousUntil } from '#admin/wire/previous-until.ts'
import { issuesUnder } from '#core/issues.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import type { User } from '#core/user.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { accessTokenSchemas, tokenOverlapDaysMax } from './schemas.ts'

/** The access token to look up. */
export function parseLookup(value: unknown, sight: TokenSight): Parsed<string> {
  const input = parseBy(accessTokenSchemas.lookup, value)
  if (input.kind === 'invalid') return input
  const { token: accessToken } = input.value
  const issues = issuesUnder('token', accessTokenIssues(accessToken, sight))
  return issues.length > 0 ? { kind: 'invalid', issues } : read(accessToken)
}

/** Until when the present token is accepted beside the new one; undefined: no longer. */
export function parseRotation(value: unknown, now: number): Parsed<number | undefined> {
  return parsePreviousUntil(accessTokenSchemas.rotation, value, tokenOverlapDaysMax, now)
}

export function toRotated(
  { accessToken, id }: Pick<User, 'accessToken' | 'id'>,
  previousUntil: number | undefined,
  { show }: TokenSight,
) {
  return { token: show(accessToken), id, ...present({ previousUntil }) }
}

export function toRevealed({ accessToken, id }: Pick<User, 'accessToken' | 'id'>, { show }: TokenSight) {
  return { token: show(accessToken), id }
}
