import { createHash, timingSafeEqual } from 'node:crypto'
import { type AdminKey, configuredKeyId } from '#core/admin-key.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/**
 * The admin keys: those in the store, and the one from the environment. That one is never stored, so that changing it
 * there revokes the old one at the next start. It is listed with the others, because an administrator wants to see
 * every key that is accepted, but it cannot be deleted here. While it is set, the last stored key may be deleted.
 * @param now the start of this process, which stands for the key's age: its real age is not known
 */
export function withConfiguredKey(
  keys: AdminKeyStore,
  configured: string | undefined,
  now: number,
): AdminKeyStore {
  if (configured === undefined) return keys
  // Digests have one length, so that the comparison takes the same time for every input.
  const expected = digestOf(configured)
  const isGuessable = !isLong(configured)
  const key: AdminKey = {
    id: configuredKeyId,
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
    rotateAdminKey: async (id, rotation, by) =>
      id === configuredKeyId ? 'configured' : keys.rotateAdminKey(id, rotation, by),
    deleteAdminKey: async (id, by) =>
      id === configuredKeyId ? 'configured' : keys.deleteAdminKey(id, by, { mayBeLast: true }),
  }
}

const longFrom = 32
const distinctFrom = 10

/** Long enough that guesses over a network do not find it. */
function isLong(secret: string): boolean {
  return secret.length >= longFrom && new Set(secret).size >= distinctFrom
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
