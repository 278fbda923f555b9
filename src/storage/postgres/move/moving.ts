import type { ClientBase } from 'pg'
import type { Values } from '#storage/ledger/rows.ts'
import type { Pool } from '#storage/postgres/connect.ts'
import { text } from '#storage/schema/columns.ts'

/**
 * How far a move into this database has come, kept in it: each step is written in the transaction of the rows that it
 * is about, so that it is true whatever ends the move, and nobody begins to use what is not all there.
 */
export interface Moving {
  /** The state of the source from which all these rows are. */
  readonly state: string
  readonly steps: Readonly<Record<string, Step>>
  readonly isDone: boolean
}

export interface Step {
  readonly rows: number
  /** The key of the last row that was taken; absent where there was none. */
  readonly after?: Values
  readonly isDone: boolean
}

const rowName = 'moving'

export async function readMoving(ask: Pool['ask']): Promise<Moving | undefined> {
  const { rows } = await ask('select value from facts where name = $1', [rowName])
  // Written below and by nobody else.
  return rows[0] && (JSON.parse(text(rows[0].value)) as Moving)
}

export async function writeMoving(client: ClientBase, moving: Moving): Promise<void> {
  await client.query(
    'insert into facts (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
    [rowName, JSON.stringify(moving)],
  )
}

/** To be called by whoever has said that it is there, since a move looks for those after it has said the same. */
export async function refuseUnfinished(pool: Pool): Promise<void> {
  const moving = await readMoving(pool.ask)
  if (!moving || moving.isDone) return
  throw new Error(
    'DATABASE_URL: not all of the users have arrived in this database yet: run migrate-store again, it goes on where it stopped',
  )
}
