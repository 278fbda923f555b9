import { createHash, timingSafeEqual } from 'node:crypto'
import type { AdminKey } from '#core/admin-key.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/** Names the key from the environment, which is in no table. */
const environmentId = 'adk_environment'

/**
 * Who may administer: the keys in the store, and the one from the environment, which is never stored, so that
 * changing it there ends the old one with the next start. It is listed with the others, since whoever looks wants
 * to see every way in, but only the environment takes it away; and as it is one, the last of the others may go.
 * @param now since when this process has known it; nobody can say how old it is
 */
export function withConfiguredKey(
  keys: AdminKeyStore,
  configured: string | undefined,
  now: number,
): AdminKeyStore {
  if (configured === undefined) return keys
  // Digests are of one length, so that the comparison takes the same time whatever was sent.
  const expected = digestOf(configured)
  const isGuessable = !isLong(configured)
  const key: AdminKey = {
    id: environmentId,
    name: 'environment',
    createdAt: now,
    scopes: ['admin'],
    isGuessable,
  }
  return {
    ...keys,
    findAdminKey: async (secret, now) =>
      timingSafeEqual(digestOf(secret), expected) ? key : keys.findAdminKey(secret, now),
    listAdminKeys: async () => [key, ...(await keys.listAdminKeys())],
    deleteAdminKey: async (id, now) =>
      id === environmentId ? 'configured' : keys.deleteAdminKey(id, now, { mayBeLast: true }),
  }
}

const longFrom = 32
const distinctFrom = 10

/** What a generator makes, or a hand would not type: no number of guesses over a network finds it. */
function isLong(secret: string): boolean {
  return secret.length >= longFrom && new Set(secret).size >= distinctFrom
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
