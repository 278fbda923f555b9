import type { AdminContext, AdminParts } from '#admin/context.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { decodeSegment } from '#admin/request/target.ts'
import type { Problem } from '#core/errors.ts'
import { createProblem } from '#core/errors.ts'
import { badInput, issuesUnder } from '#core/issues.ts'
import { type Reading, type Refused, read, refused } from '#core/reading.ts'
import { isUserId } from '#core/user-id.ts'
import type { UserRef } from '#core/user-ref.ts'
import type { UsersWritten } from '#storage/store.ts'
import { accessTokenIssues, type ParsedEdit } from './wire.ts'

/** The user that the path names, by access token or by id. */
export function readUserRef(c: AdminContext): Reading<UserRef> {
  // The route matched these very segments: /admin/users/{token}, whatever stands behind.
  const segment = c.get('target').path.split('/')[3] ?? ''
  const name = decodeSegment(segment)
  if (name === undefined)
    return refused(badInput([{ path: 'token', message: 'the path holds a broken percent-escape' }]))
  if (isUserId(name)) return read({ id: name })
  const issues = accessTokenIssues(name)
  if (issues.length > 0) return refused(badInput(issuesUnder('token', issues)))
  return read({ accessToken: name })
}

/** The edit in the body, by one of the wire's parsers; a request without a body edits nothing. */
export async function readUserEdit(
  c: AdminContext,
  parts: AdminParts,
  parse: (value: unknown) => ParsedEdit,
): Promise<Extract<ParsedEdit, { readonly kind: 'parsed' }> | Refused> {
  const reading = await readJsonBody(c, parts)
  if (reading.kind === 'refused') return reading
  const parsed = parse(reading.kind === 'empty' ? {} : reading.value)
  return parsed.kind === 'invalid' ? refused(badInput(parsed.issues)) : parsed
}

/** Why the store wrote nothing. */
export function problemOf(
  result: Exclude<UsersWritten, { readonly kind: 'written' }>,
  place: string,
): Problem {
  switch (result.kind) {
    case 'unknown':
      return createProblem('not_found')
    case 'stale':
      return createProblem('precondition_failed')
    case 'invalid':
      return badInput(place === '' ? result.issues : issuesUnder(place, result.issues))
  }
}
