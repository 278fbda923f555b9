import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { randomBase62 } from '#lib/base62.ts'
import type { AdminKey, AdminKeyStore } from '#storage/store.ts'

/**
 * Who may administer: the keys in the store, and the one from the environment, which is never stored, so that
 * changing it there ends the old one with the next start.
 */
export function withConfiguredKey(keys: AdminKeyStore, configured: string | undefined): AdminKeyStore {
  if (configured === undefined) return keys
  // Digests are of one length, so that the comparison takes the same time whatever was sent.
  const expected = digestOf(configured)
  const key: AdminKey = { id: 'adk_environment', name: 'environment', createdAt: 0, scopes: ['admin'] }
  return {
    ...keys,
    findAdminKey: async (secret, now) =>
      timingSafeEqual(digestOf(secret), expected) ? key : keys.findAdminKey(secret, now),
  }
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Makes and stores an admin key; the answer is the only time that its secret is seen. */
export async function createAdminKey(keys: AdminKeyStore, name: string, clock: Clock): Promise<string> {
  const secret = `tga-${randomBase62(40)}`
  await keys.insertAdminKey(name, secret, clock())
  return secret
}
