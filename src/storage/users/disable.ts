import type { Transaction } from 'kysely'
import type { UserRef } from '#core/user-ref.ts'
import { lookupsOf } from '#core/vault.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UserWriting } from './apply-writes.ts'

/** Disables a user and answers the id; undefined where the user does not exist. */
export type DisableRow = (
  ref: UserRef,
  reason: string | undefined,
  now: number,
) => Promise<string | undefined>

/** By the columns of the block alone: a user must be disabled also where another column cannot be read. */
export async function disableRow(
  trx: Transaction<Schema>,
  { vault, announce }: UserWriting,
  ...[ref, reason, now]: Parameters<DisableRow>
): Promise<string | undefined> {
  const row = await trx
    .updateTable('users')
    .set((e) => ({
      disabled_at: e.case().when('disabled_at', '<=', now).then(e.ref('disabled_at')).else(now).end(),
      ...(reason !== undefined && { disabled_reason: reason }),
      revision: e('revision', '+', 1),
    }))
    .where((e) =>
      'id' in ref ? e('id', '=', ref.id) : e('token_hmac', 'in', lookupsOf(vault, ref.accessToken)),
    )
    .returning('id')
    .executeTakeFirst()
  if (row) await announce?.(trx, [row.id])
  return row?.id
}
