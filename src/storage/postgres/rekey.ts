import { Kysely, PostgresDialect } from 'kysely'
import { createVault, type MasterKeys } from '#core/vault.ts'
import { createStopper } from '#lib/stopper.ts'
import type { RekeyEngine } from '#storage/keys/rekey.ts'
import { integer } from '#storage/schema/columns.ts'
import { refuseOtherSchema } from '#storage/schema/migrate.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { StoreFault } from '../store.ts'
import { findDatabase, openPool } from './connect.ts'
import { retrying } from './retry.ts'
import { openServers } from './servers.ts'
import { createSharedClock } from './shared-clock.ts'

/** Opens the shared database beside its instances. */
export async function openPostgresRekey(
  url: string,
  keys: MasterKeys,
): Promise<{ readonly engine: RekeyEngine; readonly close: () => Promise<void> }> {
  const stopper = createStopper()
  try {
    const pool = openPool(openServers(url, 'DATABASE_URL'), { connections: 1, isByKey: true })
    stopper.add(pool.close)
    const first = await findDatabase(pool.connect, 'DATABASE_URL')
    first.release()
    const { rows } = await pool.ask("select to_regclass('migrations') as name")
    const known =
      rows[0]?.name == null ? [] : (await pool.ask('select max(number) as number from migrations')).rows
    refuseOtherSchema(known[0]?.number == null ? 0 : integer(known[0].number))
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: pool.pool }) })
    const engine: RekeyEngine = {
      db,
      vault: createVault(keys),
      now: createSharedClock(db).read,
      retried: retrying,
      hasRowLocks: true,
      isFault: (error) => error instanceof StoreFault,
    }
    return { engine, close: stopper.stop }
  } catch (error) {
    await stopper.stop()
    throw error
  }
}
