import type { TokenSight } from '#admin/request/token-sight.ts'
import { accessTokenIssues } from '#admin/users/wire.ts'
import { issuesUnder } from '#core/issues.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import { read } from '#lib/reading.ts'
import { accessTokenSchemas } from './schemas.ts'

/** The access token to look up. */
export function parseLookup(value: unknown, sight: TokenSight): Parsed<string> {
  const input = parseBy(accessTokenSchemas.lookup, value)
  if (input.kind === 'invalid') return input
  const { token: accessToken } = input.value
  const issues = issuesUnder('token', accessTokenIssues(accessToken, sight))
  return issues.length > 0 ? { kind: 'invalid', issues } : read(accessToken)
}
