import type { Transaction } from 'kysely'
import { chunksOf } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { removeFoundBy } from './found-by.ts'
import { removeOtherTokens } from './old-tokens.ts'

/**
 * Removes users with all rows that belong to them. What the ledger booked stays, under their ids. A new table with rows
 * of users is a line here: upkeep and the purge both remove them by this.
 */
export async function removeUserRows(trx: Transaction<Schema>, userIds: readonly string[]): Promise<void> {
  await removeOtherTokens(trx, userIds)
  await removeFoundBy(trx, userIds)
  for (const ids of chunksOf(userIds)) {
    await trx.deleteFrom('claims').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('quotas').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('addresses').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('front_ends').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('people').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('people').where('front_end_id', 'in', ids).execute()
    await trx.deleteFrom('users').where('id', 'in', ids).execute()
  }
}
