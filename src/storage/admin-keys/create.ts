import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import { allows, type Scope } from '#core/scopes.ts'
import { randomBase62 } from '#lib/base62.ts'
import type { AdminKeyStore } from '#storage/store.ts'

const randomLength = 40

/** A key as it was made, or got another secret: only this value holds the secret. */
export interface MadeAdminKey {
  readonly key: AdminKey
  readonly secret: string
}

/** Makes and stores an admin key. Only the returned value holds its secret. */
export async function createAdminKey(
  keys: Pick<AdminKeyStore, 'insertAdminKey'>,
  key: Omit<NewAdminKey, 'secret'>,
  by: By,
): Promise<MadeAdminKey> {
  const secret = adminKeySecret(key.scopes)
  return { key: await keys.insertAdminKey({ ...key, secret }, by), secret }
}

/**
 * Gives a key another secret. The one before is accepted until `previousUntil`, epoch milliseconds; absent: no longer.
 */
export async function rotateAdminKey(
  keys: Pick<AdminKeyStore, 'rotateAdminKey'>,
  { id, scopes }: Pick<AdminKey, 'id' | 'scopes'>,
  previousUntil: number | undefined,
  by: By,
): Promise<MadeAdminKey | 'unknown' | 'configured'> {
  const secret = adminKeySecret(scopes)
  const rotation = { secret, ...(previousUntil !== undefined && { previousUntil }) }
  const key = await keys.rotateAdminKey(id, rotation, by)
  return typeof key === 'string' ? key : { key, secret }
}

/** The prefix shows a person or a secret scanner that finds a key what it opens. */
export function adminKeySecret(scopes: readonly Scope[]): string {
  return (allows(scopes, 'any') ? 'tga-' : 'tgv-') + randomBase62(randomLength)
}
