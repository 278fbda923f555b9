import type { DatabaseSync } from 'node:sqlite'
import { integer, text } from '#storage/schema/columns.ts'

/** What a file says of itself before anything of it is used. */
export interface Identity {
  /** The number of the last migration. */
  readonly schema: number
  /** Tells the master key that it was made with from another one. */
  readonly keyFingerprint: string
  /** The last time that a running instance said it lived, epoch milliseconds; 0 where none did. */
  readonly seenAt: number
}

/** Undefined where the file is a database, but none of ours. Throws where it is no database. */
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
    keyFingerprint: text(key.value),
    seenAt: seen?.at == null ? 0 : integer(seen.at),
  }
}
