import type { Kysely } from 'kysely'
import type { ChainChecked } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import type { ChangeHeadRow, ChangeRow, Schema } from '#storage/schema/tables.ts'
import type { ChangePlace } from '#storage/store.ts'
import { headId, isAsWritten, macOf, openKey } from './chain.ts'
import { toHead } from './head.ts'

const rowsAtOnce = 1_000

/**
 * Follows the chain from the newest row that upkeep has removed to the newest that there is. Changes that are written
 * meanwhile are left to the next check; where upkeep removes rows meanwhile, the check begins anew behind them.
 */
export async function checkChain(db: Kysely<Schema>, vault: Vault): Promise<ChainChecked> {
  for (;;) {
    const head = await readHead(db)
    if (!head) return await withoutHead(db)
    const checked = await follow(db, vault, head)
    if (checked.kind === 'intact') return checked
    const now = await readHead(db)
    if (now?.removed_seq === head.removed_seq) return checked
  }
}

async function readHead(db: Kysely<Schema>): Promise<ChangeHeadRow | undefined> {
  const row = await db.selectFrom('change_head').selectAll().where('id', '=', headId).executeTakeFirst()
  return row && toHead(row)
}

/** No change was ever written, or the head was removed. */
async function withoutHead(db: Kysely<Schema>): Promise<ChainChecked> {
  const row = await db.selectFrom('changes').select('seq').orderBy('seq').limit(1).executeTakeFirst()
  return row ? { kind: 'broken', seq: Number(row.seq), what: 'end' } : { kind: 'intact', count: 0 }
}

async function follow(db: Kysely<Schema>, vault: Vault, head: ChangeHeadRow): Promise<ChainChecked> {
  const begin: ChangePlace = { seq: head.removed_seq, hash: head.removed_hash }
  const key = head.key_encrypted === null ? undefined : openKey(head.key_encrypted, vault)?.key
  if (!key) return { kind: 'broken', seq: begin.seq + 1, what: 'key' }
  if (head.mac !== macOf(head, key)) return { kind: 'broken', seq: head.seq, what: 'end' }
  const older = await db
    .selectFrom('changes')
    .select('seq')
    .where('seq', '<=', begin.seq)
    .limit(1)
    .executeTakeFirst()
  if (older) return { kind: 'broken', seq: Number(older.seq), what: 'added' }
  let place = begin
  let redacted = 0
  while (place.seq < head.seq) {
    const rows = await db
      .selectFrom('changes')
      .selectAll()
      .where('seq', '>', place.seq)
      .where('seq', '<=', head.seq)
      .orderBy('seq')
      .limit(rowsAtOnce)
      .execute()
    if (rows.length === 0) return { kind: 'broken', seq: place.seq + 1, what: 'missing' }
    for (const row of rows) {
      const seq = Number(row.seq)
      if (seq !== place.seq + 1) return { kind: 'broken', seq: place.seq + 1, what: 'missing' }
      if (!isAsWritten(plain(row), place.hash, key)) return { kind: 'broken', seq, what: 'altered' }
      if (row.redaction !== null) redacted += 1
      place = { seq, hash: row.hash }
    }
  }
  if (place.hash !== head.hash) return { kind: 'broken', seq: head.seq, what: 'end' }
  const count = place.seq - begin.seq
  return {
    ...{ kind: 'intact', count },
    ...(count > 0 && { first: begin.seq + 1, last: place.seq }),
    ...(redacted > 0 && { redacted }),
  }
}

/** Numbers may come as texts or as big integers, by the driver. */
export function plain(row: ChangeRow): ChangeRow {
  return { ...row, seq: Number(row.seq), at: Number(row.at) }
}
