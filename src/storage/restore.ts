import {
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { createVault, type MasterKeys } from '#core/vault.ts'
import { migrations } from '#storage/schema/migrations/list.ts'
import { assertNotMoved } from '#storage/sqlite/move/moved.ts'
import type { CopyingProgress } from './backup.ts'
import { damaged, explained, faultOf, noDatabase } from './fault.ts'
import {
  checkCopy,
  copyDatabase,
  filesOf,
  moveIntoPlace,
  partOf,
  removeCopy,
  removeDeadParts,
} from './sqlite/copy.ts'
import { holdFile } from './sqlite/hold.ts'
import { type Identity, identityOf } from './sqlite/identity.ts'

/**
 * Replaces the embedded database by a backup. Everything that could be wrong with the backup is checked before any
 * file is touched. The old database is put aside and never removed.
 */
export interface Restore extends MasterKeys {
  readonly from: string
  /** The database's path. */
  readonly to: string
  /** A folder for the old files; created when there are any. */
  readonly aside: string
  /** Other files that belong to the old database, which the restored one must not use. */
  readonly belongings: readonly string[]
  readonly signal: AbortSignal
  readonly onProgress: (progress: CopyingProgress) => void
}

export interface Restored extends Identity {
  readonly bytes: number
  readonly isAside: boolean
}

/** Throws with one sentence where the restore cannot be done; nothing has been changed then. */
export async function restoreBackup(restore: Restore): Promise<Restored> {
  const { from, to } = restore
  const folder = dirname(to)
  const part = partOf(to)
  let letGo: (() => void) | undefined
  try {
    const identity = lookAt(restore)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    letGo = holdFile(`${to}.lock`)
    // No part is being written while this process holds the folder.
    removeDeadParts(to, 0)
    await copyTo(part, restore)
    restore.onProgress({ kind: 'checking' })
    await checkCopy(part, restore.signal)
    const { size: bytes } = statSync(part)
    closeOld(to)
    const isAside = putAside(restore)
    moveIntoPlace(part, to)
    giveToOwnerOf(folder, [to, `${to}.lock`, restore.aside])
    return { ...identity, bytes, isAside }
  } catch (error) {
    throw faultOf(error) === damaged ? asBackup(error, from) : explained(error, folder)
  } finally {
    removeCopy(part)
    letGo?.()
  }

  /** What the backup says about itself, read before anything is done with it. */
  function lookAt(keys: Restore): Identity {
    assertBackup(from, to)
    const db = openBackup(from)
    try {
      const identity = identityOf(db)
      if (!identity) throw new Error(`${from} is not a Tollgate database`)
      const newest = Math.max(...migrations.map(({ number }) => number))
      if (identity.schema > newest)
        throw new Error(
          `${from} has schema ${identity.schema}, this version knows ${newest}: restore it with the newer version`,
        )
      const held = new Set(createVault(keys).fingerprints)
      if (!identity.keyFingerprints.every((each) => held.has(each)))
        throw new Error(
          `${from} was made with another master key than this one: put that key into ${folder} or MASTER_KEY first, without it nothing in it can be read`,
        )
      assertNotMoved(db, from)
      return identity
    } catch (error) {
      throw asBackup(error, from)
    } finally {
      db.close()
    }
  }
}

/** Checks only that the path is a file, and not the database itself. */
function assertBackup(path: string, database: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new Error(`there is no file ${path}: name a file that tollgate backup has made`)
  if (!found.isFile()) throw new Error(`${path} is a folder: name a file in it`)
  const current = statSync(database, { throwIfNoEntry: false })
  if (current?.ino === found.ino && current.dev === found.dev)
    throw new Error(`${path} is the database itself: name a file that tollgate backup has made`)
}

/** The advice for a damaged database is to restore a backup, which does not help for the backup itself. */
function asBackup(error: unknown, path: string): unknown {
  const fault = faultOf(error)
  if (fault !== damaged && fault !== noDatabase) return explained(error, path)
  const says = fault === damaged ? 'is damaged' : 'is no database'
  return new Error(`${path} ${says}: name another backup`, { cause: error })
}

/**
 * A complete file is opened read-only: neither the file nor its folder has to be writable, and no file is left beside
 * it.
 */
function openBackup(path: string): DatabaseSync {
  const url = pathToFileURL(path)
  if (filesOf(path).length === 1) url.searchParams.set('immutable', '1')
  try {
    return new DatabaseSync(url, { readOnly: true })
  } catch (error) {
    throw asBackup(error, path)
  }
}

/**
 * Merges the old database into one file, which works only while no process has it open. A database that cannot be
 * read is left as it is, with the files beside it: it may be the reason for this restore.
 */
function closeOld(path: string): void {
  if (!beginsAsDatabase(path)) return
  const db = new DatabaseSync(path)
  try {
    if (identityOf(db)) assertNotMoved(db, path)
    db.exec('pragma journal_mode = delete')
  } catch (error) {
    if (faultOf(error) !== damaged) throw error
  } finally {
    db.close()
  }
}

const firstBytes = 'SQLite format 3'

function beginsAsDatabase(path: string): boolean {
  if (!existsSync(path)) return false
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(firstBytes.length)
    readSync(file, bytes)
    return bytes.toString('latin1') === firstBytes
  } finally {
    closeSync(file)
  }
}

async function copyTo(part: string, { from, signal, onProgress }: Restore): Promise<void> {
  const db = openBackup(from)
  try {
    db.exec('begin')
    identityOf(db)
    await copyDatabase(db, part, {
      signal,
      onProgress: (progress) => onProgress({ kind: 'copied', ...progress }),
    })
  } finally {
    db.close()
  }
}

/** Answers whether there were any files. The database itself also stays in its place until the backup replaces it. */
function putAside({ to, aside, belongings }: Restore): boolean {
  const old = filesOf(to)
  if (old.length + belongings.length === 0) return false
  mkdirSync(aside, { mode: 0o700 })
  const nameIn = (path: string) => join(aside, basename(path))
  for (const path of belongings) renameSync(path, nameIn(path))
  for (const path of old) {
    if (path === to) keepBoth(path, nameIn(path))
    else renameSync(path, nameIn(path))
  }
  return true
}

function keepBoth(path: string, copy: string): void {
  try {
    linkSync(path, copy)
  } catch {
    // Not every file system supports hard links.
    renameSync(path, copy)
  }
}

/** An administrator may run this as root for the user that the server runs as. */
function giveToOwnerOf(folder: string, paths: readonly string[]): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(folder)
  for (const path of paths) if (existsSync(path)) chownSync(path, uid, gid)
}
