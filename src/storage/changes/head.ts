import type { Transaction } from 'kysely'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { ChangeHeadRow, Schema } from '#storage/schema/tables.ts'
import { headId, noHash } from './chain.ts'

/** The head, locked until the transaction ends. What is damaged of it counts as absent: a change must not fail by it. */
export async function lockHead(
  trx: Transaction<Schema>,
): Promise<{ readonly head: ChangeHeadRow | undefined; readonly lastSeq: number }> {
  const row = await trx
    .selectFrom('change_head')
    .selectAll()
    .select((e) =>
      e
        .selectFrom('changes')
        .select((c) => c.fn.max('seq').as('seq'))
        .as('last_seq'),
    )
    .where('id', '=', headId)
    .forUpdate()
    .executeTakeFirst()
  if (row) return { head: toHead(row), lastSeq: optional(row.last_seq, integer) ?? 0 }
  const last = await trx
    .selectFrom('changes')
    .select((e) => e.fn.max('seq').as('seq'))
    .executeTakeFirst()
  return { head: undefined, lastSeq: optional(last?.seq, integer) ?? 0 }
}

export async function saveHead(trx: Transaction<Schema>, head: ChangeHeadRow): Promise<void> {
  const { id: _, ...columns } = head
  await trx
    .insertInto('change_head')
    .values(head)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(columns))
    .execute()
}

export function toHead(row: { readonly [Name in keyof ChangeHeadRow]: unknown }): ChangeHeadRow {
  return {
    id: headId,
    seq: unlessDamaged(row.seq, integer, 0),
    hash: unlessDamaged(row.hash, text, noHash),
    removed_seq: unlessDamaged(row.removed_seq, integer, 0),
    removed_hash: unlessDamaged(row.removed_hash, text, noHash),
    key_encrypted: unlessDamaged(row.key_encrypted, (value) => optional(value, text), null),
  }
}

function unlessDamaged<Value>(value: unknown, read: (value: unknown) => Value, otherwise: Value): Value {
  try {
    return read(value)
  } catch {
    return otherwise
  }
}
