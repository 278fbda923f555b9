import { z } from '@hono/zod-openapi'
import type { User } from '#core/user.ts'

/**
 * One user's version, made of what an administrator edits and not of the counters, which change with every
 * request: an edit must not fail because the user is at work. That makes it weak by the letter of RFC 9110 for
 * anyone who compares bytes; it is sent in the strong form because `If-Match` allows no other.
 */
export function etagOf(user: Pick<User, 'revision'>): string {
  return `"${user.revision}"`
}

export const ifMatchHeader = z.object({
  'If-Match': z.string().optional().openapi({ description: 'An ETag that must still hold, or *.' }),
})

export type IfMatch = 'any' | readonly number[]

/**
 * The revisions that an `If-Match` header allows; undefined where there is none. Tags that are not ours match
 * nothing. `W/` is forgiven: proxies that compress weaken the tags that pass through them.
 */
export function parseIfMatch(header: string | undefined): IfMatch | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return 'any'
  return header.split(',').flatMap((part) => {
    const revision = /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(part)?.[1]
    return revision === undefined ? [] : [Number(revision)]
  })
}
