import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, it } from 'node:test'
import { openStore } from '#storage/open.ts'
import { foundation } from '#storage/schema/migrations/0001-foundation.ts'
import { metering } from '#storage/schema/migrations/0002-metering.ts'
import { databases, type TestDatabase } from '../support/stores.ts'

/** A database as the version left it that took every spelling of an address for another one. */
async function makeSecondVersion(database: TestDatabase): Promise<void> {
  const settings = database.settings()
  const isSqlite = settings.database.kind === 'sqlite'
  if (settings.database.kind === 'sqlite') mkdirSync(dirname(settings.database.path), { recursive: true })
  for (const statement of [...foundation.statements, ...metering.statements])
    await database.change(
      isSqlite
        ? statement.replace('/* clustered */', 'without rowid')
        : statement.replaceAll(/\btext\b/g, 'text collate "C"'),
    )
  await database.change(
    'create table migrations (number bigint not null primary key, name text not null, applied_at bigint not null)',
  )
  await database.change("insert into migrations values (1, 'foundation', 0), (2, 'metering', 0)")
}

const rows: readonly (readonly [user: string, address: string, first: number, last: number])[] = [
  ['usr_a', '2001:DB8::3', 30, 31],
  ['usr_a', '2001:db8:0:0:0:0:0:3', 10, 12],
  ['usr_a', '2001:db8::3', 20, 90],
  ['usr_a', '::ffff:203.0.113.5', 5, 50],
  ['usr_a', '::ffff:cb00:7105', 6, 70],
  ['usr_a', '203.0.113.5', 7, 60],
  ['usr_a', 'fe80::1%eth0', 8, 8],
  ['usr_a', 'a:digest:of:another:system', 9, 9],
  ['usr_b', '2001:0DB8:0000::0003', 1, 2],
  ['usr_b', '192.0.2.1', 3, 4],
]
const merged = [
  ['usr_a', '2001:db8::3', 10, 90],
  ['usr_a', '203.0.113.5', 5, 70],
  ['usr_a', 'a:digest:of:another:system', 9, 9],
  ['usr_a', 'fe80::1', 8, 8],
  ['usr_b', '192.0.2.1', 3, 4],
  ['usr_b', '2001:db8::3', 1, 2],
]
/** More than one page, in the old spelling only and in both. */
const many = 2_500

for (const { name, create } of databases)
  describe(`addresses that an earlier version stored, on ${name}`, () => {
    it('have one spelling from then on, and those that are the same are merged', async () => {
      const database = await create()
      await makeSecondVersion(database)
      const insert = (list: readonly (readonly [string, string, number, number])[]) =>
        database.change(
          `insert into addresses values ${list.map(([user, at, first, last]) => `('${user}', '${at}', ${first}, ${last})`).join(', ')}`,
        )
      await insert(rows)
      const hex = (index: number) => index.toString(16)
      for (const spelt of ['2001:db8:0:0::', '2001:DB8::0:'])
        await insert(
          Array.from({ length: many }, (_, index) => ['usr_c', `${spelt}${hex(index + 1)}`, index, index]),
        )
      for (let time = 0; time < 2; time++) {
        await (await openStore(database.settings())).close()
        const found = await database.rows(
          "select user_id, address, first_seen_at, last_seen_at from addresses where user_id < 'usr_c' order by user_id, address",
        )
        assert.deepEqual(
          found.map((row) =>
            Object.values(row).map((value) => (/^\d+$/.test(`${value}`) ? Number(value) : value)),
          ),
          merged,
        )
        const others = await database.rows("select address from addresses where user_id = 'usr_c'")
        const expected = Array.from({ length: many }, (_, index) => `2001:db8::${hex(index + 1)}`)
        assert.deepEqual(others.map(({ address }) => address).sort(), expected.sort())
      }
      await database.remove()
    })
  })
