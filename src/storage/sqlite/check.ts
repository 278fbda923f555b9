import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { text } from '#storage/schema/columns.ts'

/**
 * The input of the thread that checks a copy. Reading the whole copy takes long and can only be stopped from outside.
 * The check also turns the copy into one file that needs no other beside it.
 */
export interface Checking {
  readonly path: string
}

export type Checked =
  | { readonly kind: 'checked' /** 'ok', or what is wrong. */; readonly findings: string }
  | { readonly kind: 'failed'; readonly error: unknown; readonly errcode: unknown }

function check({ path }: Checking): Checked {
  try {
    const db = new DatabaseSync(path)
    try {
      db.exec('pragma journal_mode = delete; pragma synchronous = full')
      const rows = db.prepare('pragma integrity_check(5)').all()
      return { kind: 'checked', findings: rows.map((row) => text(row.integrity_check)).join('; ') }
    } finally {
      db.close()
    }
  } catch (error) {
    // A message to another thread keeps only the standard fields of an error.
    return { kind: 'failed', error, errcode: (error as { readonly errcode?: unknown }).errcode }
  }
}

parentPort?.postMessage(check(workerData as Checking))
