import type { z } from '@hono/zod-openapi'
import type { Issue } from '#core/errors.ts'

type ZodIssue = z.core.$ZodIssue

/** How many wrong things are named at once; a bulk of thousands may be wrong in each. */
export const issuesMax = 100

/** What a schema found wrong, in our own words and paths (`users[3].tokenLimits.claude`). */
export function toIssues(error: z.ZodError, familyNames: readonly string[]): Issue[] {
  return error.issues.flatMap((issue) => describeIssue(issue, familyNames))
}

/** Puts issues under a place, so that `expiresAt` becomes `users[3].expiresAt`. */
export function issuesUnder(place: string, issues: readonly Issue[]): Issue[] {
  return issues.map(({ path, message }) => ({ path: path === '' ? place : `${place}.${path}`, message }))
}

function describeIssue(issue: ZodIssue, familyNames: readonly string[]): Issue[] {
  const path = pathOf(issue.path)
  // Few refuse keys; everywhere else an unknown field is ignored.
  if (issue.code === 'unrecognized_keys' && path === '')
    return issue.keys.map((key) => ({ path: key.slice(0, 80), message: 'is not a field that is known here' }))
  if (issue.code === 'unrecognized_keys') {
    const message = `is not a known family; known are ${familyNames.join(', ')}`
    return issue.keys.map((key) => ({ path: `${path}.${key.slice(0, 80)}`, message }))
  }
  return [{ path, message: issue.message }]
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}
