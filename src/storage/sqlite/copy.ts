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

/** How much of a copy is there, in bytes. */
export interface CopyProgress {
  readonly copied: number
  readonly of: number
}

/** Pages between two looks at whether to go on; 4 MB. */
const pagesAtOnce = 1_000

/**
 * Copies a database that others may be writing to, as it is now. A copy of SQLite's that goes page by page begins anew
 * whenever another process has written, and so beside a busy server never ends. It does not where its connection has a
 * transaction open all the while: then it reads what was there when that began, and the writers go on in the log.
 */
export async function copyDatabase(
  db: DatabaseSync,
  to: string,
  options: { readonly signal: AbortSignal; readonly onProgress: (progress: CopyProgress) => void },
): Promise<void> {
  // Made here, and so only for its owner.
  closeSync(openSync(to, 'wx', 0o600))
  const pageBytes = Number(db.prepare('pragma page_size').get()?.page_size)
  await backup(db, to, {
    rate: pagesAtOnce,
    progress({ totalPages, remainingPages }) {
      // What is thrown here ends it.
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

/** Reads all of a copy. Throws where it is not whole, or was not read to its end because of `signal`. */
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

/** What a database has beside its file while it is open, and leaves there when it is not closed. */
const besides = ['-journal', '-wal', '-shm']

/** Of a database's file and those beside it, the ones that are there. */
export function filesOf(path: string): readonly string[] {
  return pathsOf(path).filter((file) => existsSync(file))
}

/** The paths of a database's file and of all that may stand beside it, whether they are there or not. */
export function pathsOf(path: string): readonly string[] {
  return ['', ...besides].map((suffix) => path + suffix)
}

export function removeCopy(path: string): void {
  for (const file of filesOf(path)) rmSync(file, { force: true })
}

/** What a copy is called until it is whole. In containers, process ids repeat: the name is random. */
export function partOf(to: string): string {
  return `${to}.${randomBytes(4).toString('hex')}.part`
}

/**
 * Removes what earlier copies to the same path left, that were killed before they were whole: each is as large as the
 * database.
 *
 * @param untouchedMs how long a copy was not written to before it is taken for one that was killed
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
    // What is wrong with the folder is said when the copy is made in it; one that may only be written to is enough.
    return []
  }
}

/**
 * Puts a copy in the place of a file, so that after a loss of power there is the one or the other, and all of it. What
 * an older one has left beside it goes first: a log does not know which file it belongs to.
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
