import type { Transaction } from 'kysely'
import type { ManyRows } from '#storage/many-rows.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { ChangeHeadRow, Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import { headColumns, headId, noHash } from './chain.ts'

type DamagedHead = { readonly [Name in keyof ChangeHeadRow]: unknown }

const lastSeqText = 'select max(seq) as last_seq from changes'
const headText = `select *, (${lastSeqText}) as last_seq from change_head where id {in} {lock}`
const savedHead = inserts(
  'change_head',
  headColumns,
  `on conflict (id) do update set ${headColumns
    .filter((name) => name !== 'id')
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`,
)

/** The head, locked until the transaction ends. What is damaged of it counts as absent: a change must not fail by it. */
export async function lockHead(
  trx: Transaction<Schema>,
  many: ManyRows,
): Promise<{ readonly head: ChangeHeadRow | undefined; readonly lastSeq: number }> {
  const [row] = await many.query<DamagedHead & { readonly last_seq: unknown }>(trx, headText, [headId])
  if (row) return { head: toHead(row), lastSeq: optional(row.last_seq, integer) ?? 0 }
  const last = await trx
    .selectFrom('changes')
    .select((e) => e.fn.max('seq').as('seq'))
    .executeTakeFirst()
  return { head: undefined, lastSeq: optional(last?.seq, integer) ?? 0 }
}

export async function saveHead(trx: Transaction<Schema>, many: ManyRows, head: ChangeHeadRow): Promise<void> {
  await many.write(trx, savedHead, [headColumns.map((name) => head[name])])
}

export function toHead(row: DamagedHead): ChangeHeadRow {
  return {
    id: headId,
    seq: unlessDamaged(row.seq, integer, 0),
    hash: unlessDamaged(row.hash, text, noHash),
    removed_seq: unlessDamaged(row.removed_seq, integer, 0),
    removed_hash: unlessDamaged(row.removed_hash, text, noHash),
    key_encrypted: unlessDamaged(row.key_encrypted, (value) => optional(value, text), null),
    mac: unlessDamaged(row.mac, (value) => optional(value, text), null),
  }
}

function unlessDamaged<Value>(value: unknown, read: (value: unknown) => Value, otherwise: Value): Value {
  try {
    return read(value)
  } catch {
    return otherwise
  }
}
