import { parseAddress } from '#core/network.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { MigrationRows, Rewrite } from './migration.ts'

const pageRows = 500

const page = `select user_id, address, first_seen_at, last_seen_at from addresses
  where (user_id, address) > ($1, $2) and address like '%:%' order by user_id, address limit ${pageRows}`
const merging = (count: number) => `insert into addresses (user_id, address, first_seen_at, last_seen_at)
  values ${places(count, 4)} on conflict (user_id, address) do update set
    first_seen_at = case when excluded.first_seen_at < addresses.first_seen_at
      then excluded.first_seen_at else addresses.first_seen_at end,
    last_seen_at = case when excluded.last_seen_at > addresses.last_seen_at
      then excluded.last_seen_at else addresses.last_seen_at end`
const removing = (count: number) =>
  `delete from addresses where (user_id, address) in (values ${places(count, 2)})`

/**
 * Each address of a user in its one spelling. Those that become the same are merged: first seen when the first of them
 * was, last seen when the last was. What is no address (exports of other systems hold digests) stays as it is. Only
 * IPv6 has several spellings, and no SQL that both databases know tells them apart.
 */
export const oneSpelling: Rewrite = {
  name: 'one-spelling',
  async run(rows) {
    let after: readonly [userId: string, address: string] = ['', '']
    for (;;) {
      const found = (await rows(page, after)).map(toSeen)
      await respell(rows, found)
      const last = found.at(-1)
      if (last === undefined) return
      after = [last.userId, last.address]
    }
  },
}

interface SeenRow {
  readonly userId: string
  readonly address: string
  readonly first: number
  readonly last: number
}

function toSeen([userId, address, first, last]: readonly unknown[]): SeenRow {
  return { userId: text(userId), address: text(address), first: integer(first), last: integer(last) }
}

async function respell(rows: MigrationRows, found: readonly SeenRow[]): Promise<void> {
  const others = found.filter(({ address }) => (parseAddress(address) ?? address) !== address)
  if (others.length === 0) return
  // A statement may not write a row twice.
  const merged = new Map<string, SeenRow>()
  for (const { userId, address: spelt, first, last } of others) {
    const address = parseAddress(spelt) ?? spelt
    const known = merged.get(`${userId} ${address}`) ?? { first, last }
    const both = { first: Math.min(first, known.first), last: Math.max(last, known.last) }
    merged.set(`${userId} ${address}`, { userId, address, ...both })
  }
  const values = [...merged.values()].flatMap(({ userId, address, first, last }) => [
    userId,
    address,
    first,
    last,
  ])
  await rows(merging(merged.size), values)
  const removed = others.flatMap(({ userId, address }) => [userId, address])
  await rows(removing(others.length), removed)
}

/** `($1, $2), ($3, $4)` for two rows of two values. */
function places(rows: number, columns: number): string {
  const row = (at: number) => Array.from({ length: columns }, (_, index) => `$${at * columns + index + 1}`)
  return Array.from({ length: rows }, (_, at) => `(${row(at).join(', ')})`).join(', ')
}
