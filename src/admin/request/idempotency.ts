import { createHash } from 'node:crypto'
import { type AdminContext, badInput } from '#admin/context.ts'
import { type Input, refused } from '#admin/users/input.ts'
import type { Repeat } from '#storage/store.ts'
import { canonicalJson } from './canonical-json.ts'

/**
 * What `Idempotency-Key` says of a request. The key belongs to the admin key that sent it, so that two
 * administrators cannot get each other's answers.
 *
 * @param request what is asked, as a value; the same key with another one is a conflict
 */
export function readRepeat(c: AdminContext, request: unknown): Input<Repeat | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return { kind: 'read', value: undefined }
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    const message = 'must be 1 to 255 visible ASCII characters'
    return refused(badInput([{ path: 'Idempotency-Key', message }]))
  }
  const fingerprint = createHash('sha256').update(canonicalJson(request)).digest('base64url')
  return { kind: 'read', value: { key: `${c.get('adminKey')?.id ?? ''}:${key}`, fingerprint } }
}

export const repeatConflict = 'This Idempotency-Key was used for another request.'
