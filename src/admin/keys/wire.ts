import type { Parsed } from '#admin/users/wire.ts'
import { toIssues } from '#admin/wire/issues.ts'
import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import { type KeyAnswer, keySchemas } from './schemas.ts'

/** The key that a body asks for. */
export function parseNewKey(value: unknown, now: number): Parsed<Omit<NewAdminKey, 'secret'>> {
  const parsed = keySchemas.input.safeParse(value)
  if (!parsed.success) return { kind: 'invalid', issues: toIssues(parsed.error, []) }
  const { name, scopes = ['admin'], expiresAt } = parsed.data
  if (typeof expiresAt === 'number' && expiresAt <= now)
    return { kind: 'invalid', issues: [{ path: 'expiresAt', message: 'must lie in the future' }] }
  return {
    kind: 'parsed',
    value: { name, scopes: [...new Set(scopes)], ...(typeof expiresAt === 'number' && { expiresAt }) },
  }
}

export function toKey({ id, name, scopes, createdAt, expiresAt }: AdminKey): KeyAnswer {
  return { id, name, scopes: [...scopes], createdAt, ...(expiresAt !== undefined && { expiresAt }) }
}
