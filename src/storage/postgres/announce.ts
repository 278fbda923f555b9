import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import type { Schema } from '../schema.ts'

/** The channel on which instances tell each other whom they have changed. */
export const channel = 'tollgate_users'

/** Says "anybody": more than fit into one message. */
export const anybody = '*'

/** A message holds 8000 bytes at most; an id has some 30. */
const idsMax = 200

/** Tells every instance, when the transaction commits, that these users were changed. */
export async function announceUsers(trx: Kysely<Schema>, ids: readonly string[]): Promise<void> {
  await sql`select pg_notify(${channel}, ${messageOf(ids)})`.execute(trx)
}

export function announceOn(client: pg.Client, ids: readonly string[]): Promise<unknown> {
  return client.query('select pg_notify($1, $2)', [channel, messageOf(ids)])
}

function messageOf(ids: readonly string[]): string {
  return ids.length > idsMax ? anybody : ids.join(' ')
}
