import { createHash } from 'node:crypto'
import { z } from '@hono/zod-openapi'
import { visiblePattern } from '#admin/wire/patterns.ts'
import { badInput } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import { read } from '#lib/reading.ts'
import type { IdempotencyKey } from '#storage/store/users.ts'
import { canonicalJson } from './canonical-json.ts'
import type { AdminContext } from './context.ts'

/**
 * Reads the header `Idempotency-Key`. It is stored together with the admin key that sent it, so that two
 * administrators cannot get each other's answers.
 *
 * @param request the request as a value; the same key with a different one is a conflict
 */
export function readIdempotencyKey(c: AdminContext, request: unknown): Reading<IdempotencyKey | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return read(undefined)
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    const message = 'must be 1 to 255 visible ASCII characters'
    return refused(badInput([{ path: 'Idempotency-Key', message }]))
  }
  const fingerprint = createHash('sha256').update(canonicalJson(request)).digest('base64url')
  return read({ key: `${c.get('adminKey')?.id ?? ''}:${key}`, fingerprint })
}

/** The message of a 409. */
export const idempotencyConflict = 'This Idempotency-Key was used for another request.'

export const idempotencyHeader = z.object({
  'Idempotency-Key': z.string().min(1).max(255).optional().openapi({
    pattern: visiblePattern,
    description: 'The same key with the same body gets the same answer; with another body it is 409.',
  }),
})
