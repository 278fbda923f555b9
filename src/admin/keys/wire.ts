import { parsePreviousUntil } from '#admin/wire/previous-until.ts'
import { type AdminKey, keyOverlapDaysMax, type NewAdminKey } from '#core/admin-key.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { type KeyAnswer, keySchemas } from './schemas.ts'

/** Parses the body that creates a key. */
export function parseNewKey(value: unknown, now: number): Parsed<Omit<NewAdminKey, 'secret'>> {
  const input = parseBy(keySchemas.input, value)
  if (input.kind === 'invalid') return input
  const { name, scopes = ['admin'], expiresAt, allowedNetworks } = input.value
  if (typeof expiresAt === 'number' && expiresAt <= now) return invalid('expiresAt', 'must lie in the future')
  return read({
    name,
    scopes: [...new Set(scopes)],
    ...present({ expiresAt: expiresAt ?? undefined, allowedNetworks: allowedNetworks ?? undefined }),
  })
}

/** Parses the body that rotates a key: until when the present secret is accepted as well. */
export function parseRotation(value: unknown, now: number): Parsed<number | undefined> {
  return parsePreviousUntil(keySchemas.rotation, value, keyOverlapDaysMax, now)
}

export function toKey({ scopes, allowedNetworks, isGuessable: _, ...rest }: AdminKey): KeyAnswer {
  return {
    ...rest,
    scopes: [...scopes],
    ...present({ allowedNetworks: allowedNetworks && [...allowedNetworks] }),
  }
}
