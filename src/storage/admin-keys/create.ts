import type { AdminKey, NewAdminKey, Scope } from '#core/admin-key.ts'
import { randomBase62 } from '#lib/base62.ts'
import type { AdminKeyStore } from '#storage/store.ts'

const randomLength = 40

/** Makes and stores an admin key; the answer is the only time that its secret is seen. */
export async function createAdminKey(
  keys: Pick<AdminKeyStore, 'insertAdminKey'>,
  key: Omit<NewAdminKey, 'secret'>,
  now: number,
): Promise<{ readonly key: AdminKey; readonly secret: string }> {
  const secret = prefixFor(key.scopes) + randomBase62(randomLength)
  return { key: await keys.insertAdminKey({ ...key, secret }, now), secret }
}

/** Whoever finds one, a secret scanner or a person, sees how much it opens. */
function prefixFor(scopes: readonly Scope[]): string {
  return scopes.includes('admin') ? 'tga-' : 'tgv-'
}
