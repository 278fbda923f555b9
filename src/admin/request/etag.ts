import { z } from '@hono/zod-openapi'
import type { User } from '#core/user.ts'

/**
 * The version of one user. It covers what an administrator edits and not the counters, which change with every
 * request: an edit must not fail because the user is active. By the letter of RFC 9110 that makes the tag weak for a
 * comparison by bytes; it is sent in the strong form because `If-Match` allows no other.
 */
export function etagOf(user: Pick<User, 'revision'>): string {
  return `"${user.revision}"`
}

export const ifMatchHeader = z.object({
  'If-Match': z.string().optional().openapi({ description: 'An ETag that must still hold, or *.' }),
})

export type IfMatch = 'any' | readonly number[]

/**
 * The revisions that an `If-Match` header allows; undefined without the header. Foreign tags match nothing. A `W/`
 * prefix is accepted: proxies that compress weaken the tags that pass through them.
 */
export function parseIfMatch(header: string | undefined): IfMatch | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return 'any'
  return header.split(',').flatMap((part) => {
    const revision = /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(part)?.[1]
    return revision === undefined ? [] : [Number(revision)]
  })
}
