import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import type { Schema } from '#storage/schema/tables.ts'
import type { Listener } from './listen.ts'

/** The channel on which instances tell each other whom they have changed. */
export const userChannel = 'tollgate_users'

/** Stands for all users, if their ids do not fit into one message. */
const allUsers = '*'

/** A message holds 8000 bytes at most; an id has some 30. */
const idsMax = 200

/** Tells every instance, when the transaction commits, that these users were changed. */
export async function announceUsers(trx: Kysely<Schema>, ids: readonly string[]): Promise<void> {
  await sql`select pg_notify(${userChannel}, ${messageOf(ids)})`.execute(trx)
}

export function announceOn(client: pg.Client, ids: readonly string[]): Promise<unknown> {
  return client.query('select pg_notify($1, $2)', [userChannel, messageOf(ids)])
}

function messageOf(ids: readonly string[]): string {
  return ids.length > idsMax ? allUsers : ids.join(' ')
}

/** Hears whom others have changed; answers how to stop. */
export function hearOfUsers(
  listener: Listener,
  onChanged: (ids: readonly string[] | 'all') => void,
): () => void {
  return listener.hear(userChannel, {
    said: (words) => onChanged(words === allUsers ? 'all' : words.split(' ')),
    missed: () => onChanged('all'),
  })
}
