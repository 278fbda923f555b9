import { createProblem, type Issue, type Problem } from './errors.ts'

/** How many issues are named at once; a list of thousands of elements may be wrong in each. */
export const issuesMax = 100

/** 400 for an invalid input; the sentence names the first issue, `issues` all of them. */
export function badInput(issues: readonly Issue[]): Problem {
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const where = first?.path ? `${first.path}: ` : ''
  const message = first ? `${where}${first.message}${more}` : undefined
  return createProblem('bad_request', message, { issues: issues.slice(0, issuesMax) })
}

/** Puts issues under a place, so that `expiresAt` becomes `users[3].expiresAt`. */
export function issuesUnder(place: string, issues: readonly Issue[]): Issue[] {
  return issues.map(({ path, message }) => ({ path: joined(place, path), message }))
}

/** A path in a value, as callers read it: `users[3].tokenLimits.claude`. */
export function pathOf(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : joined(text, String(part))),
    '',
  )
}

function joined(place: string, path: string): string {
  return place === '' || path === '' || path.startsWith('[') ? `${place}${path}` : `${place}.${path}`
}
