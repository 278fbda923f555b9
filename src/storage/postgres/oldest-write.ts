import { type Kysely, sql } from 'kysely'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * How long ago the oldest transaction began that has written something and has not ended, in milliseconds; 0 where there
 * is no such one. What it wrote cannot be read yet: as while it waits for a standby that has to confirm it.
 * PostgreSQL does not show those of other roles.
 */
export async function readOldestWriteMs(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ age: unknown }>`
    select coalesce(max(extract(epoch from clock_timestamp() - xact_start) * 1000), 0)::bigint as age
    from pg_stat_activity where backend_xid is not null and datname = current_database()`.execute(db)
  return Math.max(0, Number(rows[0]?.age ?? 0))
}
