import { type Kysely, sql } from 'kysely'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * The age in milliseconds of the oldest unfinished transaction that has written; 0 without one. Its rows cannot be
 * read yet, for example while it waits for a standby to confirm it. PostgreSQL does not show transactions of other
 * roles.
 */
export async function readOldestWriteMs(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ age: unknown }>`
    select coalesce(max(extract(epoch from clock_timestamp() - xact_start) * 1000), 0)::bigint as age
    from pg_stat_activity where backend_xid is not null and datname = current_database()`.execute(db)
  return Math.max(0, Number(rows[0]?.age ?? 0))
}
