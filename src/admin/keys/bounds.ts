import type { AdminContext } from '#admin/request/context.ts'
import { excessOf, type KeyBounds } from '#core/admin-key.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { present } from '#lib/present.ts'

/** The bounds of the key that asks. */
export function ownBounds(c: AdminContext): KeyBounds {
  const key = c.get('adminKey')
  if (!key) throw new Error('a request without an admin key has passed the guard')
  return key
}

/** Where a new key has no end or networks of its own, those of the key that makes it apply. */
export function withinOwn<Wanted extends KeyBounds>(own: KeyBounds, wanted: Wanted): Wanted {
  const { expiresAt, allowedNetworks } = own
  return { ...present({ expiresAt, allowedNetworks }), ...wanted }
}

/** The problem of a request that would get, by way of another key, more than its own key has. */
export function excessProblem(own: KeyBounds, wanted: KeyBounds): Problem | undefined {
  const excess = excessOf(own, wanted)
  if (excess.length === 0) return undefined
  return createProblem('forbidden', 'The key would have more than yours.', {
    issues: excess.map(({ of, message }) => ({ path: of, message })),
  })
}
