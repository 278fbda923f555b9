import type { AdminKey, NewAdminKey, Scope } from '#core/admin-key.ts'
import { randomBase62 } from '#lib/base62.ts'
import type { AdminKeyStore } from '#storage/store.ts'

const randomLength = 40

/** Makes and stores an admin key. Only the returned value holds its secret. */
export async function createAdminKey(
  keys: Pick<AdminKeyStore, 'insertAdminKey'>,
  key: Omit<NewAdminKey, 'secret'>,
  now: number,
): Promise<{ readonly key: AdminKey; readonly secret: string }> {
  const secret = adminKeySecret(key.scopes)
  return { key: await keys.insertAdminKey({ ...key, secret }, now), secret }
}

export function adminKeySecret(scopes: readonly Scope[]): string {
  return prefixFor(scopes) + randomBase62(randomLength)
}

/** The prefix shows a person or a secret scanner that finds a key what it allows. */
function prefixFor(scopes: readonly Scope[]): string {
  return scopes.includes('admin') ? 'tga-' : 'tgv-'
}
