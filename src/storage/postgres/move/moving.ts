import type { ClientBase } from 'pg'
import type { Values } from '#storage/ledger/rows.ts'
import type { Pool } from '#storage/postgres/connect.ts'
import { text } from '#storage/schema/columns.ts'

/**
 * The progress of a move into this database, stored in it. Each step is written in the transaction of its rows, so
 * the progress is correct after any interruption, and no instance starts on half of the data.
 */
export interface Moving {
  /** The state of the source that all these rows come from. */
  readonly state: string
  readonly steps: Readonly<Record<string, Step>>
  readonly isDone: boolean
}

export interface Step {
  readonly rows: number
  /** The key of the last row that was copied; absent before the first. */
  readonly after?: Values
  readonly isDone: boolean
}

const rowName = 'moving'

export async function readMoving(ask: Pool['ask']): Promise<Moving | undefined> {
  const { rows } = await ask('select value from facts where name = $1', [rowName])
  // This module alone writes the value.
  return rows[0] && (JSON.parse(text(rows[0].value)) as Moving)
}

export async function writeMoving(client: ClientBase, moving: Moving): Promise<void> {
  await client.query(
    'insert into facts (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
    [rowName, JSON.stringify(moving)],
  )
}

/**
 * Call it after this instance's row in `instances` is written: a move looks for running instances after it has stored
 * that it is moving, so at least one of the two sees the other.
 */
export async function refuseUnfinished(pool: Pool): Promise<void> {
  const moving = await readMoving(pool.ask)
  if (!moving || moving.isDone) return
  throw new Error(
    'DATABASE_URL: not all of the users have arrived in this database yet: run migrate-store again, it goes on where it stopped',
  )
}
