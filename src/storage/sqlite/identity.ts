import type { DatabaseSync } from 'node:sqlite'
import { integer, text } from '#storage/schema/columns.ts'

/** What a database file says about itself, read before anything else is done with it. */
export interface Identity {
  /** The number of the last migration. */
  readonly schema: number
  /** Identify the master keys that are needed to read the database: two while one is being replaced. */
  readonly keyFingerprints: readonly string[]
  /** The last heartbeat of an instance, epoch milliseconds; 0 without one. */
  readonly seenAt: number
}

/** Undefined for a database of another program. Throws where the file is not a database. */
export function identityOf(db: DatabaseSync): Identity | undefined {
  const tables = db.prepare("select name from sqlite_schema where type = 'table'").all()
  const names = new Set(tables.map(({ name }) => text(name)))
  if (!['migrations', 'facts', 'users', 'entries'].every((name) => names.has(name))) return undefined
  const key = db.prepare("select value from facts where name = 'master_key'").get()
  if (!key) return undefined
  const seen = names.has('instances')
    ? db.prepare('select max(seen_at) as at from instances').get()
    : undefined
  return {
    schema: integer(db.prepare('select max(number) as number from migrations').get()?.number),
    keyFingerprints: text(key.value).split(' '),
    seenAt: seen?.at == null ? 0 : integer(seen.at),
  }
}
