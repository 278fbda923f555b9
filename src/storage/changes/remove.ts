import type { Kysely } from 'kysely'
import type { Vault } from '#core/vault.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { createChain } from './chain.ts'
import { lockHead, saveHead } from './head.ts'

/**
 * Removes the oldest changes as far as they were written before an instant, and keeps the place of the last one: from
 * there a check can follow the chain of those that stay.
 */
export function removeChanges(
  db: Kysely<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  before: number,
  limit: number,
): Promise<number> {
  const chain = createChain(vault)
  return db.transaction().execute(async (trx) => {
    const { head } = await lockHead(trx, many)
    if (!head) return 0
    const rows = await trx
      .selectFrom('changes')
      .select(['seq', 'at', 'hash'])
      .where('seq', '<=', head.seq)
      .orderBy('seq')
      .limit(limit)
      .execute()
    const end = rows.findIndex((row) => integer(row.at) >= before)
    const old = end < 0 ? rows : rows.slice(0, end)
    const last = old.at(-1)
    if (!last) return 0
    const removed_seq = integer(last.seq)
    await trx.deleteFrom('changes').where('seq', '<=', removed_seq).execute()
    await saveHead(trx, many, chain.removedTo(head, removed_seq, text(last.hash)))
    return old.length
  })
}
