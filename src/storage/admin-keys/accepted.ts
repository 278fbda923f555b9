import type { Kysely } from 'kysely'
import { type AdminKey, isLiveKey } from '#core/admin-key.ts'
import type { ConfiguredKey } from '#core/session.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { findKeyRow, isSameHmac, type KeyFinder } from './find.ts'
import { toListedKey } from './rows.ts'

/** A key, and the keyed hash of the secret with which something was made. */
interface MadeWith {
  readonly key_id: string
  readonly key_hmac: string
}

/**
 * The key with which a session or a link was made, while the very secret that was presented is still accepted: what it made
 * ends with it.
 *
 * @param configured the admin key that no table has
 */
export async function keyStillAccepted(
  db: Kysely<Schema>,
  keys: KeyFinder,
  { key_id, key_hmac }: MadeWith,
  now: number,
  configured: ConfiguredKey | undefined,
): Promise<AdminKey | undefined> {
  if (configured && key_id === configured.key.id) {
    const hmacs = await keys.hmacsOf(db, configured.secret)
    return hmacs.some((hmac) => isSameHmac(key_hmac, hmac)) ? configured.key : undefined
  }
  const row = await findKeyRow(db, key_hmac, now)
  // A damaged key opens nothing, and hides nothing else that keys have made.
  const key = row && toListedKey(row)
  return key && !key.isDamaged && isLiveKey(key, now) ? key : undefined
}
