import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
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

/** Long enough to change a secret on many machines by hand; a forgotten one ends all the same. */
const overlapMaxMs = 90 * 86_400_000

/** Parses the body that rotates a key: until when the present secret is accepted as well. */
export function parseRotation(value: unknown, now: number): Parsed<number | undefined> {
  const input = parseBy(keySchemas.rotation, value)
  if (input.kind === 'invalid') return input
  const { previousUntil } = input.value
  if (typeof previousUntil !== 'number') return read(undefined)
  if (previousUntil <= now || previousUntil > now + overlapMaxMs)
    return invalid('previousUntil', 'must lie in the future, at most 90 days ahead')
  return read(previousUntil)
}

export function toKey({ scopes, allowedNetworks, isGuessable: _, ...rest }: AdminKey): KeyAnswer {
  return {
    ...rest,
    scopes: [...scopes],
    ...present({ allowedNetworks: allowedNetworks && [...allowedNetworks] }),
  }
}
