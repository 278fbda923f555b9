import type { Transaction } from 'kysely'
import type { User } from '#core/user.ts'
import type { Vault } from '#core/vault.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { Repeat } from '#storage/store.ts'

/**
 * Answers kept for repeats (`Idempotency-Key`). A kept answer holds an access token, so it is sealed; a day
 * later the key means nothing any more.
 */
const keptForMs = 24 * 3_600_000

type Repeated = { readonly kind: 'same'; readonly user: User } | { readonly kind: 'other' }

/** What the same key was answered before; `other` where it came with another request. */
export async function repeatedUser(
  trx: Transaction<Schema>,
  vault: Vault,
  repeat: Repeat,
  now: number,
): Promise<Repeated | undefined> {
  await trx
    .deleteFrom('answers')
    .where('created_at', '<=', now - keptForMs)
    .execute()
  const id = vault.lookupOf(repeat.key)
  const row = await trx.selectFrom('answers').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) return undefined
  if (row.fingerprint !== repeat.fingerprint) return { kind: 'other' }
  const user: User & { quotas: [string, never][] } = JSON.parse(vault.unseal(row.sealed, id))
  return { kind: 'same', user: { ...user, quotas: new Map(user.quotas) } }
}

export async function rememberUser(
  trx: Transaction<Schema>,
  vault: Vault,
  repeat: Repeat,
  user: User,
  now: number,
): Promise<void> {
  const id = vault.lookupOf(repeat.key)
  const sealed = vault.seal(JSON.stringify({ ...user, quotas: [...user.quotas] }), id)
  await trx
    .insertInto('answers')
    .values({ id, fingerprint: repeat.fingerprint, sealed, created_at: now })
    .execute()
}
