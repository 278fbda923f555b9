import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { targetOf } from '#config/database-url.ts'
import { dataDirOf, type Environment } from '#config/environment.ts'
import { journalsIn } from '#metering/journal.ts'
import { databasePathIn, masterKeyPathIn } from '#server/data-folder.ts'
import { type Moved, type MoveProgress, moveStore, takeBack } from '#storage/move.ts'
import { onStopSignal } from './stop-signals.ts'
import { complain, print } from './terminal.ts'

interface MigrateOptions {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/**
 * `tollgate migrate-store`: moves from the embedded database to a shared one. Ctrl-C stops it; called again it
 * continues.
 */
export async function migrateStore(env: Environment, options: MigrateOptions): Promise<number> {
  const to = targetOf(env, options.to)
  const path = sourcePathOf(env, options.from)
  const end = new AbortController()
  // A second signal ends it at once, which is safe as well.
  const hearNoMore = onStopSignal(() => end.abort())
  try {
    const onProgress = createReporter(path)
    const moved = await moveStore({ from: { path }, to, signal: end.signal, onProgress })
    return await tell(moved, path)
  } finally {
    hearNoMore()
  }
}

/** `tollgate migrate-store --undo` */
export async function takeStoreBack(env: Environment, from: string | undefined): Promise<number> {
  const path = sourcePathOf(env, from)
  if (!(await takeBack(path))) print(`${path} was not moved: it can be used as it is.`)
  else
    print(
      `${path} can be used again. It lacks what was used or changed in the other database since. Stop the instances that use that one: the same users must not be counted in two databases.`,
    )
  return 0
}

/** A folder as DATA_DIR names it, or the file itself. */
function sourcePathOf(env: Environment, from: string | undefined): string {
  const path = from ?? dataDirOf(env)
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? path : databasePathIn(path)
}

async function tell(moved: Moved, path: string): Promise<number> {
  switch (moved.kind) {
    case 'interrupted':
      complain('tollgate: stopped. Run the same command again: it continues from here.')
      return 130
    case 'different': {
      const where = Object.entries(moved.columns).map(
        ([table, columns]) => `${table} (${columns.join(', ')})`,
      )
      complain(
        `tollgate: the new database differs from what was sent: ${where.join('; ')}. Another program wrote there. Run the same command again: it copies everything anew.`,
      )
      return 1
    }
    case 'moved':
      print(`Everything is there: ${numeral(moved.rows)} rows of ${moved.tables} tables.\n`)
      print(await nextSteps(moved.where, path))
      return 0
  }
}

async function nextSteps(where: string, path: string): Promise<string> {
  const folder = dirname(path)
  const keyPath = masterKeyPathIn(folder)
  const key = existsSync(keyPath)
    ? `MASTER_KEY_FILE=${keyPath}, or its content as MASTER_KEY`
    : 'the same MASTER_KEY'
  const journals = await journalsIn(folder)
  const first =
    journals.length === 0
      ? []
      : [
          `One of them needs DATA_DIR=${folder}: the journal there holds settlements that are still to be booked.`,
        ]
  return [
    'Start the instances with',
    `  DATABASE_URL of ${where}`,
    `  ${key}`,
    ...first,
    `${path} is kept, and a server no longer starts on it: the same users must not be counted in two databases.`,
  ].join('\n')
}

const everyMs = 2_000

/** Prints the progress of each table, every two seconds and at its end. */
function createReporter(path: string): (progress: MoveProgress) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  let nameWidth = 16
  let [begunAt, begunWith, table, saidRows] = [0, 0, '', 0]
  return (progress) => {
    switch (progress.kind) {
      case 'begun': {
        const before = progress.tables.reduce((sum, { rows }) => sum + rows, 0)
        nameWidth = Math.max(nameWidth, ...progress.tables.map(({ table: name }) => name.length + 1))
        const all = progress.tables.reduce((sum, { of }) => sum + of, 0)
        print(`Moving ${numeral(all)} rows from ${path} to ${progress.where}`)
        if (before > 0) print(`  ${numeral(before)} of them have arrived already`)
        return
      }
      case 'copied': {
        const now = performance.now()
        const { rows, of } = progress
        if (progress.table !== table) [begunAt, begunWith, table] = [now, rows, progress.table]
        else if (rows === saidRows) return
        if (rows < of && now - saidAt < everyMs) return
        saidAt = now
        saidRows = rows
        const perSecond = Math.round((rows - begunWith) / ((now - begunAt) / 1000))
        const speed = Number.isFinite(perSecond) && perSecond > 0 ? `   ${numeral(perSecond)}/s` : ''
        print(`  ${table.padEnd(nameWidth)}${numeral(rows)} of ${numeral(of)}${speed}`)
        return
      }
      case 'compared':
        print(`  ${progress.table.padEnd(nameWidth)}compared: ${numeral(progress.rows)} rows`)
    }
  }
}

function numeral(number: number): string {
  return number.toLocaleString('en-US')
}
