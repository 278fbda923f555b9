import type { AdminContext } from '#admin/request/context.ts'
import type { AdminKey } from '#core/admin-key.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/** The key whose id is in the path: /admin/keys/{id}, with or without more behind. */
export async function findNamedKey(
  c: AdminContext,
  keys: Pick<AdminKeyStore, 'listAdminKeys'>,
): Promise<AdminKey | undefined> {
  const id = percentDecoded(c.get('target').path.split('/')[3] ?? '')
  return (await keys.listAdminKeys()).find((key) => key.id === id)
}

export const configuredKey = 'This key is the configured ADMIN_KEY: change it there, and start again.'
export const damagedKey = 'The stored row of this key is damaged: delete it, and make another one.'
