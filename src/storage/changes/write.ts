import type { Transaction } from 'kysely'
import type { NewChange } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import { changeColumns, createChain } from './chain.ts'
import { lockHead, saveHead } from './head.ts'
import { changeValues } from './statements.ts'

/** Writes the rows of changes in the transaction that makes them. Call it last: it locks the head until the commit. */
export type SaveChanges = (trx: Transaction<Schema>, changes: readonly NewChange[]) => Promise<void>

const newChanges = inserts('changes', changeColumns)

/** @param wake tells other processes, when the transaction commits, that there are changes */
export function createChangeWriter(
  vault: Vault,
  many: ManyRows,
  wake?: (trx: Transaction<Schema>) => Promise<void>,
): SaveChanges {
  const chain = createChain(vault)
  return async (trx, changes) => {
    if (changes.length === 0) return
    const { head, lastSeq } = await lockHead(trx, many)
    const next = chain.append(head, lastSeq, changes)
    for (const chunk of chunksOf(next.rows)) await many.write(trx, newChanges, chunk.map(changeValues))
    await saveHead(trx, many, next.head)
    await wake?.(trx)
  }
}
