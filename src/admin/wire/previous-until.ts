import { z } from '@hono/zod-openapi'
import type { Issue } from '#core/errors.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import { read } from '#lib/reading.ts'
import { timeInput } from './fields.ts'

/**
 * The body of a rotation. Strict: a misspelt name would end at once what was meant to work on.
 *
 * @param what what is rotated
 */
export function rotationBody(name: string, what: string, daysMax: number) {
  return z.strictObject({ previousUntil: timeInput().nullish() }).openapi(name, {
    description: `Until when the present ${what} is accepted as well, at most ${daysMax} days ahead; absent: no longer.`,
  })
}

/** Until when the present secret is accepted beside the new one; undefined: no longer. */
export function parsePreviousUntil(
  body: ReturnType<typeof rotationBody>,
  value: unknown,
  daysMax: number,
  now: number,
): Parsed<number | undefined> {
  const input = parseBy(body, value)
  if (input.kind === 'invalid') return input
  const previousUntil = input.value.previousUntil ?? undefined
  const issues = previousUntilIssues(previousUntil, daysMax, now)
  return issues.length > 0 ? { kind: 'invalid', issues } : read(previousUntil)
}

/** What is wrong with an instant until which a secret is to be accepted. */
export function previousUntilIssues(
  previousUntil: number | null | undefined,
  daysMax: number,
  now: number,
): readonly Issue[] {
  if (typeof previousUntil !== 'number') return []
  if (previousUntil > now && previousUntil <= now + daysMax * 86_400_000) return []
  return [{ path: 'previousUntil', message: `must lie in the future, at most ${daysMax} days ahead` }]
}
