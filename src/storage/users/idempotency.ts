import type { Transaction } from 'kysely'
import type { User } from '#core/user.ts'
import type { Vault } from '#core/vault.ts'
import type { KeptLookups } from '#storage/keys/kept-lookups.ts'
import { chunksOf } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { IdempotencyKey } from '#storage/store/users.ts'

/**
 * Answers that are kept by `Idempotency-Key`. A kept answer holds an access token, so it is encrypted. It is deleted
 * after a day; a request with the same key is a new one from then on.
 */
const keptForMs = 24 * 3_600_000

type EarlierAnswer = { readonly kind: 'same'; readonly user: User } | { readonly kind: 'other' }

/** The answer kept under this key; `other` where the key was used for a different request. */
async function findAnswer(
  trx: Transaction<Schema>,
  { vault, kept }: { readonly vault: Vault; readonly kept: KeptLookups },
  idempotencyKey: IdempotencyKey,
  now: number,
): Promise<EarlierAnswer | undefined> {
  await trx
    .deleteFrom('answers')
    .where('created_at', '<=', now - keptForMs)
    .execute()
  const find = (id: string) => trx.selectFrom('answers').selectAll().where('id', '=', id).executeTakeFirst()
  let row = await find(vault.lookupOf(idempotencyKey.key))
  if (!row) for (const id of await kept.olderOf(trx, idempotencyKey.key)) row ??= await find(id)
  if (!row) return undefined
  if (row.fingerprint !== idempotencyKey.fingerprint) return { kind: 'other' }
  const user: User & { quotas: [string, never][] } = JSON.parse(vault.unseal(row.answer_encrypted, row.id))
  return { kind: 'same', user: { ...user, quotas: new Map(user.quotas) } }
}

/** A write that was done now, or `repeated` from an earlier request. */
type Made<Kind extends string> = { readonly kind: Kind; readonly user: User; readonly repeated: boolean }

/**
 * Does a write that answers a user, unless it was done for this key before: then that answer is given again. Runs in the
 * transaction of the write, so that what was done and what is remembered cannot part.
 */
export async function doOnce<Kind extends string, Refusal extends { readonly kind: string }>(
  trx: Transaction<Schema>,
  known: { readonly vault: Vault; readonly kept: KeptLookups },
  idempotencyKey: IdempotencyKey | undefined,
  now: number,
  done: Kind,
  work: () => Promise<User | Refusal>,
): Promise<Made<Kind> | Refusal | { readonly kind: 'conflict' }> {
  const before = idempotencyKey && (await findAnswer(trx, known, idempotencyKey, now))
  if (before?.kind === 'other') return { kind: 'conflict' }
  if (before) return { kind: done, user: before.user, repeated: true }
  const result = await work()
  if ('kind' in result) return result
  if (idempotencyKey) await keepAnswer(trx, known.vault, idempotencyKey, result, now)
  return { kind: done, user: result, repeated: false }
}

/** Removes what is kept of these users, and what an earlier version kept without saying of which. */
export async function removeAnswers(
  trx: Transaction<Schema>,
  vault: Vault,
  userIds: readonly string[],
): Promise<void> {
  for (const ids of chunksOf(userIds)) await trx.deleteFrom('answers').where('user_id', 'in', ids).execute()
  const unnamed = await trx
    .selectFrom('answers')
    .select(['id', 'answer_encrypted'])
    .where('user_id', 'is', null)
    .execute()
  for (const { id, answer_encrypted } of unnamed)
    if (userIds.includes(ownerIn(answer_encrypted, id, vault)))
      await trx.deleteFrom('answers').where('id', '=', id).execute()
}

function ownerIn(encrypted: string, id: string, vault: Vault): string {
  const user: { readonly id?: unknown } = JSON.parse(vault.unseal(encrypted, id))
  return String(user.id)
}

async function keepAnswer(
  trx: Transaction<Schema>,
  vault: Vault,
  idempotencyKey: IdempotencyKey,
  user: User,
  now: number,
): Promise<void> {
  const id = vault.lookupOf(idempotencyKey.key)
  const encrypted = vault.seal(JSON.stringify({ ...user, quotas: [...user.quotas] }), id)
  await trx
    .insertInto('answers')
    .values({
      ...{ id, fingerprint: idempotencyKey.fingerprint, answer_encrypted: encrypted },
      ...{ created_at: now, user_id: user.id },
    })
    .execute()
}
