import { parseAddress } from '#core/network.ts'
import { integer, text } from '../columns.ts'
import type { MigrationRows, Rewrite } from './migration.ts'

const pageRows = 1000

const page = `select user_id, address, first_seen_at, last_seen_at from addresses
  where (user_id, address) > ($1, $2) and address like '%:%' order by user_id, address limit ${pageRows}`
const merge = `insert into addresses (user_id, address, first_seen_at, last_seen_at) values ($1, $2, $3, $4)
  on conflict (user_id, address) do update set
    first_seen_at = case when excluded.first_seen_at < addresses.first_seen_at
      then excluded.first_seen_at else addresses.first_seen_at end,
    last_seen_at = case when excluded.last_seen_at > addresses.last_seen_at
      then excluded.last_seen_at else addresses.last_seen_at end`
const remove = 'delete from addresses where user_id = $1 and address = $2'

/**
 * Each address of a user in its one spelling. Those that become the same are merged: first seen when the first of them
 * was, last seen when the last was. What is no address (exports of other systems hold digests) stays as it is. Only
 * IPv6 has several spellings, and no SQL that both databases know tells them apart.
 */
export const oneSpelling: Rewrite = {
  name: 'one spelling for each address',
  async run(rows) {
    let after: readonly [userId: string, address: string] = ['', '']
    for (;;) {
      const found = await rows(page, after)
      for (const row of found) await respell(rows, row)
      const last = found.at(-1)
      if (last === undefined) return
      after = [text(last[0]), text(last[1])]
    }
  },
}

async function respell(rows: MigrationRows, row: readonly unknown[]): Promise<void> {
  const [userId, address] = [text(row[0]), text(row[1])]
  const known = parseAddress(address)
  if (known === undefined || known === address) return
  await rows(merge, [userId, known, integer(row[2]), integer(row[3])])
  await rows(remove, [userId, address])
}
