import { integer } from '#storage/schema/columns.ts'
import { migrate } from '#storage/schema/migrate.ts'
import { connect, endConnection } from './connect.ts'
import type { Servers } from './servers.ts'
import { beginOn } from './session.ts'

/** Any number, the same for all instances: of those that start at once one migrates and the others wait. */
const lockKey = 7_164_911

/** Waiting for another instance's migration may take longer than any other statement. */
const queryMs = 3_600_000

/**
 * The fill factor leaves room in each page for the next version of a row: an update that stays in its page changes no
 * index. With full pages a batch of requests took a quarter longer.
 */
const room = { users: 60, quotas: 50, usage_minutes: 70 }

/**
 * Brings the schema up to date. Texts are compared by their bytes, as in SQLite: ids are searched by prefix, and
 * pages of a list continue after the last id.
 */
export async function migratePostgres(servers: Servers): Promise<void> {
  const client = await connect(servers, { queryMs, isPipelined: false, name: 'tollgate migration' })

  async function inTransaction(work: () => Promise<void>): Promise<void> {
    await client.query(beginOn(client))
    try {
      // Whatever the operator's default is: a snapshot from before the lock would miss what the lock's last holder
      // did.
      await client.query('set transaction isolation level read committed')
      await client.query('select pg_advisory_xact_lock($1)', [lockKey])
      await work()
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw error
    }
  }

  try {
    await migrate(
      {
        exclusively: inTransaction,
        run: async (statement) => {
          await client.query(statement.replaceAll(/\btext\b/g, 'text collate "C"'))
        },
        rows: async (statement, values) =>
          (await client.query({ text: statement, values: [...values], rowMode: 'array' })).rows,
        applied: async () =>
          (await client.query<{ number: unknown }>('select number from migrations')).rows.map((row) =>
            integer(row.number),
          ),
        claim: async (step, now) => {
          await client.query('insert into migrations (number, name, applied_at) values ($1, $2, $3)', [
            step.number,
            step.name,
            now,
          ])
        },
      },
      Date.now(),
    )
    for (const [table, percent] of Object.entries(room)) {
      const option = `fillfactor=${percent}`
      const { rows } = await client.query(
        'select 1 from pg_class where oid = $1::regclass and $2 = any(reloptions)',
        [table, option],
      )
      if (rows.length > 0) continue
      await inTransaction(async () => {
        await client.query(`alter table ${table} set (${option})`)
      })
    }
  } finally {
    await endConnection(client)
  }
}
