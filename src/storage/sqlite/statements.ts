import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { entryColumns, quotaColumns, userColumns } from '#storage/ledger/rows.ts'
import { belowName } from '#storage/ledger/user-requests.ts'
import { ofEachWrite } from '#storage/ledger/writes.ts'
import type { Write } from '#storage/schema/write.ts'
import { addUpReserved } from '#storage/users/reserved.ts'

export type Statements = ReturnType<typeof prepareAll>

export function prepareAll(db: DatabaseSync) {
  const prepare = (source: string): StatementSync => {
    const statement = db.prepare(source)
    statement.setReturnArrays(true)
    return statement
  }
  return {
    // A user's row is found by its row id, without the index over ids.
    writes: ofEachWrite((write, name) =>
      prepare(statementOf(name === 'user' ? { ...write, key: ['rowid'] } : write)),
    ),
    // Changes with every commit of another connection, and with nothing else.
    version: prepare('pragma data_version'),
    userByLookup: prepare(`select token_hmac, rowid, ${userColumns} from users where token_hmac = ?`),
    oldToken: prepare('select user_id, valid_until from old_tokens where token_hmac = ? and valid_until > ?'),
    tokenDigest: prepare(
      'select user_id, valid_until from token_digests where token_hmac = ? and (valid_until is null or valid_until > ?)',
    ),
    anyTokenDigest: prepare('select 1 from token_digests limit 1'),
    userById: prepare(`select token_hmac, rowid, ${userColumns} from users where id = ?`),
    quotas: prepare(`select ${quotaColumns} from quotas where user_id = ?`),
    entry: prepare(`select ${entryColumns} from entries where id = ?`),
    event: prepare('select counted_at from usage_events where id = ?'),
    below: prepare(`select value from facts where name = '${belowName}'`),
    addUpReserved: prepare(`${addUpReserved} where user_id = ?`),
    addresses: prepare('select address, last_seen_at from addresses where user_id = ?'),
    address: prepare('select last_seen_at from addresses where user_id = ? and address = ?'),
    // Counted first: a delete makes a temporary table for its subquery each time, even when there is nothing to
    // remove.
    countAddresses: prepare('select count(*) from addresses where user_id = ?'),
    trimAddresses: prepare(
      `delete from addresses where user_id = ?1
         and address in (select address from addresses where user_id = ?1 order by first_seen_at desc, address limit -1 offset ?2)`,
    ),
  }
}

export function statementOf({ table, columns, key, more }: Write): string {
  if (key.length === 0) {
    const places = columns.map(() => '?')
    return `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')}) ${more}`
  }
  const sets = columns.slice(0, -key.length).map((name) => `${name} = ?`)
  const those = key.map((name) => `${name} = ?`)
  return `update ${table} set ${[...sets, ...(more === '' ? [] : [more])].join(', ')} where ${those.join(' and ')}`
}
