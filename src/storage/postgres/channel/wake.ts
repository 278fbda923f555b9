import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import type { Schema } from '#storage/schema/tables.ts'
import type { Listener } from './listen.ts'

/** The channel on which instances tell each other that there are changes to read. */
export const changeChannel = 'tollgate_changes'

/** Wakes every instance when the transaction commits. */
export async function wakeAll(trx: Kysely<Schema>): Promise<void> {
  await sql`select pg_notify(${changeChannel}, '')`.execute(trx)
}

export function wakeOn(client: pg.Client): Promise<unknown> {
  return client.query('select pg_notify($1, $2)', [changeChannel, ''])
}

/** Hears that there may be changes, this instance's own too; answers how to stop. */
export function hearOfChanges(listener: Listener, onNews: () => void): () => void {
  return listener.hear(changeChannel, { said: onNews, missed: onNews })
}
