import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { backup, type DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import type { Checked, Checking } from './check.ts'

/** How much has been copied, in bytes. */
export interface CopyProgress {
  readonly copied: number
  readonly of: number
}

/** Pages between two checks of the signal; 4 MB. */
const pagesAtOnce = 1_000

/**
 * Copies a database at one moment, while others may write to it. SQLite's page-by-page backup starts again whenever
 * another process has written, so beside a busy server it would never end. With a read transaction open on its own
 * connection it reads the snapshot of that transaction instead, and writers continue in the log.
 */
export async function copyDatabase(
  db: DatabaseSync,
  to: string,
  options: { readonly signal: AbortSignal; readonly onProgress: (progress: CopyProgress) => void },
): Promise<void> {
  // Created first, so that only its owner can read it.
  closeSync(openSync(to, 'wx', 0o600))
  const pageBytes = Number(db.prepare('pragma page_size').get()?.page_size)
  await backup(db, to, {
    rate: pagesAtOnce,
    progress({ totalPages, remainingPages }) {
      // An error thrown here stops the backup.
      options.signal.throwIfAborted()
      const copied = (totalPages - remainingPages) * pageBytes
      options.onProgress({ copied, of: totalPages * pageBytes })
    },
  })
}

class DamagedCopy extends Error {
  constructor(findings: string) {
    super(`what was copied is damaged, and so is what it was copied from: ${findings}`)
    this.name = 'DamagedCopy'
  }
}

/** Reads the whole copy. Throws where the copy is damaged, or where `signal` stopped the check. */
export async function checkCopy(path: string, signal: AbortSignal): Promise<void> {
  const workerData: Checking = { path }
  const worker = new Worker(new URL('./check.ts', import.meta.url), { workerData })
  try {
    const checked = new Promise<Checked>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject)
    })
    const result = await Promise.race([checked, aborted(signal)])
    if (result.kind === 'failed') throw Object.assign(result.error as Error, { errcode: result.errcode })
    if (result.findings !== 'ok') throw new DamagedCopy(result.findings)
  } finally {
    await worker.terminate()
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** The suffixes of the files beside an open database; they stay when it is not closed. */
const besides = ['-journal', '-wal', '-shm']

/** The existing ones of a database's files. */
export function filesOf(path: string): readonly string[] {
  return pathsOf(path).filter((file) => existsSync(file))
}

/** The paths of a database's file and of all files that may stand beside it, existing or not. */
export function pathsOf(path: string): readonly string[] {
  return ['', ...besides].map((suffix) => path + suffix)
}

export function removeCopy(path: string): void {
  for (const file of filesOf(path)) rmSync(file, { force: true })
}

/** The name of a copy until it is complete. Process ids repeat across containers, so the name is random. */
export function partOf(to: string): string {
  return `${to}.${randomBytes(4).toString('hex')}.part`
}

/**
 * Removes unfinished copies to the same path whose process was killed: each is as large as the database.
 *
 * @param untouchedMs how long a copy must not have been written to before it counts as left behind
 */
export function removeDeadParts(to: string, untouchedMs: number): void {
  const before = Date.now() - untouchedMs
  for (const part of partsBeside(to)) {
    const { mtimeMs = Number.POSITIVE_INFINITY } = statSync(part, { throwIfNoEntry: false }) ?? {}
    if (mtimeMs <= before) removeCopy(part)
  }
}

function partsBeside(to: string): readonly string[] {
  const begin = `${basename(to)}.`
  try {
    return readdirSync(dirname(to))
      .filter((name) => name.startsWith(begin) && /^[0-9a-f]+\.part$/.test(name.slice(begin.length)))
      .map((name) => join(dirname(to), name))
  } catch {
    // Making the copy will report what is wrong with the folder; a folder that can be written but not listed is
    // enough for that.
    return []
  }
}

/**
 * Moves a copy into the place of a file. After a power loss either the old or the new file is there, and complete.
 * The files beside the old one are removed first: a log does not know which database it belongs to.
 */
export function moveIntoPlace(from: string, to: string): void {
  syncFile(from)
  for (const file of filesOf(to)) if (file !== to) rmSync(file)
  renameSync(from, to)
  syncFile(dirname(to))
}

function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
