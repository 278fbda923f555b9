import type { Values } from '#storage/ledger/rows.ts'
import type { Step } from '#storage/postgres/move/moving.ts'
import { differencesOf, type MovedTable } from '#storage/schema/moved-table.ts'
import { type MoveSource, openMoveSource, takeBack } from '#storage/sqlite/move/source.ts'
import { type MoveTarget, openMoveTarget } from './postgres/target.ts'

export { takeBack }

/**
 * Copies everything from the embedded database to a shared one: table by table in the order of the key, a few
 * thousand rows at a time, so that memory use is constant. The progress is stored in the target, in the transaction
 * of the rows themselves: after any interruption the move resumes from there.
 */
export interface Move {
  readonly from: { readonly path: string }
  readonly to: { readonly url: string; readonly directUrl?: string }
  /** Stops the move after the rows that are being written. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: MoveProgress) => void
  /** How many rows one step copies. */
  readonly rowsAtOnce?: number
}

export type MoveProgress =
  | { readonly kind: 'begun'; readonly where: string; readonly tables: readonly MovedSoFar[] }
  | ({ readonly kind: 'copied' } & MovedSoFar)
  | { readonly kind: 'compared'; readonly table: string; readonly rows: number }

interface MovedSoFar {
  readonly table: string
  readonly rows: number
  readonly of: number
}

export type Moved =
  | { readonly kind: 'moved'; readonly where: string; readonly rows: number; readonly tables: number }
  | { readonly kind: 'interrupted' }
  /** The copy differs from the source: by table, the columns that differ. It has to be copied anew. */
  | { readonly kind: 'different'; readonly columns: Readonly<Record<string, readonly string[]>> }

const rowsAtOnceDefault = 5_000

export async function moveStore(move: Move): Promise<Moved> {
  const source = await openMoveSource(move.from.path)
  try {
    const target = await openMoveTarget(move.to)
    try {
      return await run(move, source, target)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function run(move: Move, source: MoveSource, target: MoveTarget): Promise<Moved> {
  const { tables } = source
  const moving = await target.begin(source)
  const counted = tables.map((table) => ({
    table: table.name,
    rows: moving.steps[table.name]?.rows ?? 0,
    of: source.count(table),
  }))
  move.onProgress({ kind: 'begun', where: target.where, tables: counted })
  // A move that was interrupted later than this may find running instances there, and so other sums.
  if (!moving.isDone) {
    for (const [index, table] of tables.entries()) {
      const step = moving.steps[table.name] ?? { rows: 0, isDone: false }
      const of = counted[index]?.of ?? 0
      const isDone = await copy(move, source, target, table, step, (rows) =>
        move.onProgress({ kind: 'copied', table: table.name, rows, of }),
      )
      if (!isDone) return { kind: 'interrupted' }
    }
    const columns = await compare(move, source, target)
    if (columns === 'interrupted') return { kind: 'interrupted' }
    if (Object.keys(columns).length > 0) {
      await target.discard()
      return { kind: 'different', columns }
    }
    await target.finish()
  }
  source.leave(target.where)
  const rows = counted.reduce((sum, { of }) => sum + of, 0)
  return { kind: 'moved', where: target.where, rows, tables: tables.length }
}

/** Reads the next rows while the rows before are being written; answers false where the signal stopped it. */
async function copy(
  { signal, rowsAtOnce = rowsAtOnceDefault }: Move,
  source: MoveSource,
  target: MoveTarget,
  table: MovedTable,
  from: Step,
  onCopied: (rows: number) => void,
): Promise<boolean> {
  let step = from
  let rows = step.isDone ? [] : source.read(table, step.after, rowsAtOnce)
  while (!step.isDone) {
    if (signal.aborted) return false
    const last = rows.at(-1)
    const after = last ? keyOf(table, last) : step.after
    const isDone = rows.length < rowsAtOnce
    step = { rows: step.rows + rows.length, isDone, ...(after && { after }) }
    const written = target.write(table, rows, step)
    // A failure is thrown where the write is awaited below; until then the rejection must not count as unhandled.
    written.catch(() => undefined)
    if (!isDone) rows = source.read(table, after, rowsAtOnce)
    await written
    onCopied(step.rows)
  }
  return true
}

function keyOf({ columns, key }: MovedTable, row: Values): Values {
  return key.map((name) => row[columns.findIndex((column) => column.name === name)])
}

async function compare(
  { signal, onProgress }: Move,
  source: MoveSource,
  target: MoveTarget,
): Promise<Record<string, readonly string[]> | 'interrupted'> {
  const different: Record<string, readonly string[]> = {}
  for (const table of source.tables) {
    if (signal.aborted) return 'interrupted'
    const summed = target.sums(table)
    // A failure is thrown where the sums are awaited below; until then the rejection must not count as unhandled.
    summed.catch(() => undefined)
    const here = source.sums(table)
    const columns = differencesOf(table, here, await summed)
    if (columns.length > 0) different[table.name] = columns
    onProgress({ kind: 'compared', table: table.name, rows: here[0] ?? 0 })
  }
  return different
}
