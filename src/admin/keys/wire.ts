import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { type KeyAnswer, keySchemas } from './schemas.ts'

/** Parses the body that creates a key. */
export function parseNewKey(value: unknown, now: number): Parsed<Omit<NewAdminKey, 'secret'>> {
  const input = parseBy(keySchemas.input, value)
  if (input.kind === 'invalid') return input
  const { name, scopes = ['admin'], expiresAt } = input.value
  if (typeof expiresAt === 'number' && expiresAt <= now) return invalid('expiresAt', 'must lie in the future')
  return read({ name, scopes: [...new Set(scopes)], ...(typeof expiresAt === 'number' && { expiresAt }) })
}

export function toKey({ id, name, scopes, createdAt, expiresAt, isDamaged }: AdminKey): KeyAnswer {
  return { id, name, scopes: [...scopes], createdAt, ...present({ expiresAt, isDamaged }) }
}
