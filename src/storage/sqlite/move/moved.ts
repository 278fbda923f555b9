import type { DatabaseSync } from 'node:sqlite'
import { text } from '#storage/schema/columns.ts'

/**
 * Notes in the database itself how far it was moved away. Until all of it has arrived it may be used as ever, which a
 * move that is taken up again has to know; from then on it may not, since two accounts of the same users are none.
 */
type Note = 'moving' | 'moved'

/**
 * To be called whenever a server or a command opens the database. Throws where all of it was moved; a move that was
 * broken off has to begin anew, as what it took may change now.
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
