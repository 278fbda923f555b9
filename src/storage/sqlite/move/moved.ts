import type { DatabaseSync } from 'node:sqlite'
import { text } from '#storage/schema/columns.ts'

/**
 * Notes in the database itself how far it was moved away. Until everything has arrived the database may still be
 * used; a resumed move has to detect that. After that it must not be used: two places that both account for the same
 * users would both be wrong.
 */
type Note = 'moving' | 'moved'

/**
 * Call it whenever a server or a command opens the database. Throws where everything was moved. An interrupted move
 * has to begin anew, since the rows that it copied may change now.
 */
export function refuseMoved(db: DatabaseSync, path: string): void {
  assertNotMoved(db, path)
  removeNote(db, 'moving')
}

export function assertNotMoved(db: DatabaseSync, path: string): void {
  const moved = readNote(db, 'moved')
  if (moved !== undefined)
    throw new Error(
      `what is in ${path} was moved to ${moved}: set DATABASE_URL to that; or, to go on here without what was used there, run: tollgate migrate-store --undo`,
    )
}

export function readNote(db: DatabaseSync, name: Note): string | undefined {
  const row = db.prepare('select value from facts where name = ?').get(name)
  return row && text(row.value)
}

export function writeNote(db: DatabaseSync, name: Note, value: string): void {
  db.prepare(
    'insert into facts (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
  ).run(name, value)
}

export function removeNote(db: DatabaseSync, name: Note): boolean {
  return db.prepare('delete from facts where name = ?').run(name).changes > 0
}
