import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { builtInFamilies } from '#core/family.ts'
import { openStore } from '#storage/open.ts'
import { by } from './by.ts'
import { testPolicy } from './stores.ts'

/** A data folder with some users and a ledger as long as after months of traffic. */
export interface FilledFolder {
  /** The environment to start the program with. */
  readonly env: Readonly<Record<string, string>>
  readonly accessTokens: readonly string[]
}

const masterKey = Buffer.alloc(32, 7)
const users = 200

/** @param entries closed entries, each of about 250 bytes including its indexes */
export async function fillFolder(folder: string, entries: number): Promise<FilledFolder> {
  const path = join(folder, 'tollgate.db')
  const accessTokens = Array.from({ length: users }, (_, index) => `filled-user-${index}`)
  const store = await openStore({
    database: { kind: 'sqlite', path },
    masterKey,
    policy: { ...testPolicy, families: builtInFamilies },
    instance: 'filled',
  })
  const written = await store.users.writeUsers(
    accessTokens.map((accessToken) => ({ ref: { accessToken }, edit: { quotaLimits: { turbo: 1e9 } } })),
    by(Date.now()),
  )
  await store.close()
  if (written.kind !== 'written') throw new Error(`the users were not written: ${written.kind}`)
  addEntries(path, entries)
  return { env: { DATA_DIR: folder, MASTER_KEY: masterKey.toString('hex') }, accessTokens }
}

/** The entries lie before every current period, so that `used` stays the sum of the others. */
function addEntries(path: string, entries: number): void {
  const db = new DatabaseSync(path)
  db.exec('pragma synchronous = off')
  db.prepare(
    `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, input, output, units,
       status, upstream, address, instance, started_at, ended_at, duration_ms)
     with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
     select 'req_0' || substr('000000000000000000000000' || i, -24), (select id from users limit 1), 'metered',
       '/v1/chat/completions', 'gpt4', 'gpt-4o-2024-08-06', 'settled', 120, 20, 20, 30, 50, 200, 'upstream',
       '192.0.2.1', 'ins_gone', i, i, 900 from n`,
  ).run(entries)
  db.close()
}
