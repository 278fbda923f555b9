import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { explained } from './fault.ts'
import {
  type CopyProgress,
  checkCopy,
  copyDatabase,
  filesOf,
  moveIntoPlace,
  partOf,
  pathsOf,
  removeCopy,
  removeDeadParts,
} from './sqlite/copy.ts'
import { identityOf } from './sqlite/identity.ts'

/**
 * Copies the embedded database into one file, whether a server runs on it or not. It reads the state of one moment
 * beside all writers, and needs nothing of the server. The whole copy is read again and checked before it gets its
 * name, so a file with that name is complete.
 */
export interface Backup {
  /** The database's path. */
  readonly from: string
  readonly to: string
  /** Whether an existing file at `to` may be replaced. */
  readonly mayReplace: boolean
  /** Other files of the server, which the copy must never replace, whatever `mayReplace` says. */
  readonly belongings: readonly string[]
  readonly signal: AbortSignal
  readonly onProgress: (progress: CopyingProgress) => void
}

export type CopyingProgress = ({ readonly kind: 'copied' } & CopyProgress) | { readonly kind: 'checking' }

export interface BackedUp {
  readonly bytes: number
  /** The moment that the copy shows, epoch milliseconds. */
  readonly asOf: number
}

/** A copy is written to all the time and then read; even a large one is never untouched for so long. */
const deadAfterMs = 3_600_000

/** Throws with one sentence where the copy cannot be made; what was at `to` is then unchanged. */
export async function makeBackup(backup: Backup): Promise<BackedUp> {
  refuseTarget(backup)
  const part = partOf(backup.to)
  try {
    removeDeadParts(backup.to, deadAfterMs)
    const asOf = await copyTo(part, backup)
    backup.onProgress({ kind: 'checking' })
    await checkCopy(part, backup.signal)
    const bytes = statSync(part).size
    moveIntoPlace(part, backup.to)
    return { bytes, asOf }
  } catch (error) {
    throw explained(error, dirname(backup.to))
  } finally {
    removeCopy(part)
  }
}

function refuseTarget({ from, to, mayReplace, belongings }: Backup): void {
  const source = statSync(from, { throwIfNoEntry: false })
  if (!source?.isFile())
    throw new Error(`there is no database at ${from}: set DATA_DIR to the folder that the server uses`)
  const target = statOf(to)
  if (target?.isDirectory()) throw new Error(`${to} is a folder: name a file in it`)
  if (target?.ino === source.ino && target.dev === source.dev)
    throw new Error(`${to} is the database itself: name another file`)
  const used = [...pathsOf(from), `${from}.lock`, ...belongings].map(placeOf)
  if (used.includes(placeOf(to)))
    throw new Error(`${to} is a file that the server itself uses: name another file`)
  const [there] = filesOf(to)
  if (there !== undefined && !mayReplace)
    throw new Error(`${there} exists already: name another file, or add --force`)
}

/** Where a file of that name is, or would be, with all links on its path resolved. */
function placeOf(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch {
    return path
  }
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw explained(error, path)
  }
}

async function copyTo(part: string, { from, signal, onProgress }: Backup): Promise<number> {
  let db: DatabaseSync | undefined
  try {
    db = openSource(from)
    const asOf = Date.now()
    await copyDatabase(db, part, {
      signal,
      onProgress: (progress) => onProgress({ kind: 'copied', ...progress }),
    })
    return asOf
  } catch (error) {
    throw db ? error : explained(error, dirname(from))
  } finally {
    db?.close()
  }
}

const busyMs = 10_000

/** Open for writing, so that SQLite tidies up when the last connection closes; nothing is written. */
function openSource(path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  try {
    db.exec(`pragma busy_timeout = ${busyMs}; pragma query_only = on; begin`)
    if (!identityOf(db)) throw new Error(`nothing was ever in ${path}: start the server on it first`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
