import type pg from 'pg'
import { createStopper } from '#lib/stopper.ts'
import type { Values } from '#storage/ledger/rows.ts'
import { type Moving, readMoving, type Step, writeMoving } from '#storage/postgres/move/moving.ts'
import { integer } from '#storage/schema/columns.ts'
import { type MovedTable, type Sums, sumsOf } from '#storage/schema/moved-table.ts'
import { connect, endConnection, findDatabase } from './connect.ts'
import { columnsOf, insertMany } from './many.ts'
import { migratePostgres } from './migrate.ts'
import { openServers, type Servers } from './servers.ts'
import { beginOn, sessionOf } from './session.ts'

/** The shared database as the target of a move. */
export interface MoveTarget {
  /** Server and database, without user and password. */
  readonly where: string
  /**
   * Prepares the target for all rows of a source in that state, and returns what it already holds of them. Rows that
   * came from another state are deleted. Throws where the target holds other data, or is in use.
   */
  readonly begin: (source: Source) => Promise<Moving>
  /** Writes rows and the progress, in one transaction. */
  readonly write: (table: MovedTable, rows: readonly Values[], step: Step) => Promise<void>
  readonly sums: (table: MovedTable) => Promise<Sums>
  /** Forgets the progress: the next move begins anew. */
  readonly discard: () => Promise<void>
  /** Allows instances to use the database. */
  readonly finish: () => Promise<void>
  readonly close: () => Promise<void>
}

interface Source {
  readonly state: string
  /** The rows of the metadata table that belong to the moved data, by name. */
  readonly metadata: Readonly<Record<string, string>>
  readonly tables: readonly MovedTable[]
}

/** Any number other than the migrations': only one move runs at a time. */
const lockKey = 7_164_912
/** Longer than an instance may be silent before it is taken for dead. */
const aliveMs = 15_000
/** Between two statements of a transaction this process may be reading the source. */
const idleMs = 60_000
/** Adding up a large table takes long; without an answer in this time the server is gone. */
const queryMs = 3_600_000

const setting = 'the database to move to'

/** @param at.directUrl the URL that bypasses a pooler, where there is one */
export async function openMoveTarget(at: {
  readonly url: string
  readonly directUrl?: string
}): Promise<MoveTarget> {
  const stopper = createStopper()
  try {
    const servers = openServers(at.directUrl ?? at.url, setting)
    const options = { queryMs, idleMs, isPipelined: false, name: 'tollgate migrate-store' }
    const client = await findDatabase(() => connect(servers, options), setting)
    stopper.add(() => endConnection(client))
    await migratePostgres(servers)
    const lock = await takeLock(servers)
    stopper.add(lock.close)
    return targetOf(client, lock, openServers(at.url, setting).where, stopper.stop)
  } catch (cause) {
    await stopper.stop()
    throw cause
  }
}

interface Lock {
  /** Throws where the lock was lost. */
  readonly check: () => void
  readonly close: () => Promise<void>
}

/**
 * Held by a transaction that does nothing else, on a connection of its own. A session's lock would stay with the
 * pooler's server connection, and so with its next client, for good.
 */
async function takeLock(servers: Servers): Promise<Lock> {
  const client = await connect(servers, {
    ...{ queryMs, idleMs: 0, isPipelined: false, name: 'tollgate migrate-store lock' },
  })
  let isLost = false
  client.on('end', () => {
    isLost = true
  })
  try {
    await client.query(beginOn(client))
    const { rows } = await client.query<{ taken: unknown }>('select pg_try_advisory_xact_lock($1) as taken', [
      lockKey,
    ])
    if (rows[0]?.taken !== true)
      throw new Error('another migrate-store is filling this database: let it finish')
  } catch (error) {
    await endConnection(client)
    throw error
  }
  return {
    check() {
      if (isLost)
        throw new Error('the lock on the database to move to was lost with its connection: run it again')
    },
    async close() {
      await client.query('rollback').catch(() => undefined)
      await endConnection(client)
    },
  }
}

function targetOf(client: pg.Client, lock: Lock, where: string, close: () => Promise<void>): MoveTarget {
  let moving: Moving = { state: '', steps: {}, isDone: false }
  const ask = (text: string, values?: unknown[]) => client.query<Record<string, unknown>>(text, values)

  async function inTransaction(work: () => Promise<void>): Promise<void> {
    lock.check()
    await client.query(beginOn(client))
    try {
      await work()
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw error
    }
  }

  async function clear({ state, metadata, tables }: Source): Promise<void> {
    moving = { state, steps: {}, isDone: false }
    await inTransaction(async () => {
      await client.query(`truncate ${tables.map(({ name }) => name).join(', ')}`)
      await client.query(
        `insert into facts (name, value) select * from unnest($1::text[], $2::text[])
         on conflict (name) do update set value = excluded.value`,
        [Object.keys(metadata), Object.values(metadata)],
      )
      await writeMoving(client, moving)
    })
  }

  return {
    where,
    async begin(source) {
      const before = await readMoving(ask)
      if (before && before.state === source.state) moving = before
      else {
        if (!before || before.isDone) await refuseUsed(client, source.tables)
        await clear(source)
      }
      if (!moving.isDone) await refuseLiving(client)
      return moving
    },
    async write(table, rows, step) {
      const next = { ...moving, steps: { ...moving.steps, [table.name]: step } }
      await inTransaction(async () => {
        if (rows.length > 0) await insert(client, table, rows)
        await writeMoving(client, next)
      })
      moving = next
    },
    async sums(table) {
      const { rows } = await client.query<unknown[]>({ text: sumsOf(table), rowMode: 'array' })
      return (rows[0] ?? []).map(integer)
    },
    discard: () => inTransaction(() => writeMoving(client, { ...moving, state: '' })),
    async finish() {
      await client.query('analyze')
      await inTransaction(async () => {
        // The instance of these running requests is dead: the first instance here closes their entries.
        await client.query(
          `insert into instances (id, started_at, seen_at)
           select distinct instance, 0, 0 from entries where state = 'open' and lease_until is null
           on conflict (id) do update set seen_at = 0`,
        )
        await writeMoving(client, { ...moving, isDone: true })
      })
    },
    close,
  }
}

async function insert(client: pg.Client, table: MovedTable, rows: readonly Values[]): Promise<void> {
  const { name, columns } = table
  const query = insertMany(
    name,
    columns.map((column) => column.name),
    columns.map(({ type }) => type),
  )
  await client.query({
    // Behind a pooler the next transaction may use another server connection, without the prepared statement.
    ...(!sessionOf(client)?.isPooled && { name: `move ${name}` }),
    text: query,
    values: columnsOf(rows, columns.length),
  })
}

async function refuseUsed(client: pg.Client, tables: readonly MovedTable[]): Promise<void> {
  // Users say best what the database is used for; changes tell of them as well.
  for (const { name } of tables.toSorted(
    (one, other) => Number(other.name === 'users') - Number(one.name === 'users'),
  )) {
    const { rowCount } = await client.query(`select 1 from ${name} limit 1`)
    if (rowCount)
      throw new Error(
        `the database to move to is in use: its table ${name} has rows. Name one that is empty; nothing was changed`,
      )
  }
}

/**
 * Call it after the move has stored that it is moving: an instance that starts later sees that, and one that started
 * before is seen here.
 */
async function refuseLiving(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query(
    'select 1 from instances where seen_at > extract(epoch from clock_timestamp()) * 1000 - $1 limit 1',
    [aliveMs],
  )
  if (rowCount)
    throw new Error(
      'an instance is running on the database to move to: stop it, wait 15 seconds, and try again',
    )
}
