import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Account, readAccount } from './account.ts'

/** The account in a data folder; its database file must be sound as well. */
export async function readAccountFile(folder: string): Promise<Account> {
  const db = new DatabaseSync(join(folder, 'tollgate.db'), { readOnly: true })
  const rows = async (query: string) =>
    db
      .prepare(query)
      .all()
      .map((row) => ({ ...row }))
  try {
    assert.deepEqual(await rows('pragma integrity_check'), [{ integrity_check: 'ok' }])
    return await readAccount(rows)
  } finally {
    db.close()
  }
}
