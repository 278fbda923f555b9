import { type Kysely, sql, type Transaction } from 'kysely'
import { requestPrefixes } from '#core/request-prefixes.ts'
import type { Vault } from '#core/vault.ts'
import { redactChanges } from '#storage/changes/redact.ts'
import { readBelow } from '#storage/ledger/user-requests.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * What changes and entries say of a purged user is removed in pieces, since there may be a great many of them. The place
 * is stored with each piece, so that a stop of the process loses none. The first are the entries that are not in the
 * table by user yet; the next places are `requests:` with the id of the last one, and `changes:` with its number.
 */

interface TraceParts {
  readonly many: ManyRows
  readonly vault: Vault
}

interface Piece {
  /** Rows that were looked at, or 1 for a step to the next place. */
  readonly rows: number
  /** Where it goes on; null when the user is done. */
  readonly next: string | null
}

/** Removes one piece, of this user or of any; 0 where nothing is left. */
export function removeTraces(
  db: Kysely<Schema>,
  parts: TraceParts,
  userId: string | undefined,
  limit: number,
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const left = trx.selectFrom('purged_users').select(['id', 'traces']).where('traces', 'is not', null)
    const user = await (userId === undefined ? left : left.where('id', '=', userId))
      .orderBy('id')
      .limit(1)
      .forUpdate()
      .executeTakeFirst()
    if (!user || user.traces === null) return 0
    const { rows, next } = await removePiece(trx, parts, { id: user.id, place: user.traces, limit })
    await trx.updateTable('purged_users').set({ traces: next }).where('id', '=', user.id).execute()
    return Math.max(1, rows)
  })
}

function removePiece(
  trx: Transaction<Schema>,
  parts: TraceParts,
  { id, place, limit }: { readonly id: string; readonly place: string; readonly limit: number },
): Promise<Piece> {
  const [what, after = ''] = place.split(':')
  switch (what) {
    case 'requests':
      return removeAddresses(trx, { id, after, limit })
    case 'changes':
      return removeTexts(trx, parts, { id, after: Number(after), limit })
    default:
      return removeRecentAddresses(trx, id)
  }
}

/**
 * The entries from there on are those of the last minute. They come first: later they are in the table by user, where
 * some might be added behind the place that was reached.
 */
async function removeRecentAddresses(trx: Transaction<Schema>, id: string): Promise<Piece> {
  const below = await readBelow(trx)
  for (const prefix of requestPrefixes)
    await trx
      .updateTable('entries')
      .set({ address: null })
      .where('id', '>=', prefix + below)
      .where('id', '<', `${prefix}~`)
      .where('user_id', '=', id)
      .where('address', 'is not', null)
      .execute()
  return { rows: 1, next: 'requests:' }
}

async function removeAddresses(
  trx: Transaction<Schema>,
  { id, after, limit }: { readonly id: string; readonly after: string; readonly limit: number },
): Promise<Piece> {
  const rows = await trx
    .selectFrom('user_requests')
    .select('id')
    .where('user_id', '=', id)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()
  const ids = rows.map((row) => row.id)
  const last = ids.at(-1)
  if (last !== undefined)
    await sql`update entries set address = null where id in (${sql.join(ids)}) and address is not null`.execute(
      trx,
    )
  return {
    rows: ids.length,
    next: last !== undefined && ids.length === limit ? `requests:${last}` : 'changes:0',
  }
}

async function removeTexts(
  trx: Transaction<Schema>,
  parts: TraceParts,
  { id, after, limit }: { readonly id: string; readonly after: number; readonly limit: number },
): Promise<Piece> {
  const last = await redactChanges(trx, parts, { userId: id, after, limit })
  return { rows: limit, next: last === undefined ? null : `changes:${last}` }
}
