import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '#storage/schema/tables.ts'

/** Runs in a transaction, and rolls back where the result is of another kind than `kept`. */
export async function inTransaction<Result extends { readonly kind: string }>(
  db: Kysely<Schema>,
  kept: Result['kind'],
  work: (trx: Transaction<Schema>) => Promise<Result>,
): Promise<Result> {
  const trx = await db.startTransaction().execute()
  try {
    const result = await work(trx)
    await (result.kind === kept ? trx.commit() : trx.rollback()).execute()
    return result
  } catch (error) {
    await trx.rollback().execute()
    throw error
  }
}
