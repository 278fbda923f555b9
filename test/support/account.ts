import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { otherModel } from '#storage/ledger/reported-models.ts'
import { assertInvariants } from './invariants.ts'

type Row = Readonly<Record<string, unknown>>

/** What a store holds, read directly from the tables, also while the program runs. */
export interface Account {
  /** Without administrators' adjustments, in the order in which the entries began. */
  readonly entries: readonly Row[]
  readonly entriesOf: (userId: string) => readonly Row[]
  readonly users: ReadonlyMap<string, Row>
}

/** Reads tables directly. */
export type Reader = (query: string) => Promise<readonly Row[]>

/**
 * Reads the account once all open entries have been closed, and checks what must hold after every crash: counts are
 * the sums of the ledger, and each entry has ended once.
 *
 * @param closedWithinMs how long it may take until no entry is open
 */
export async function readAccount(rows: Reader, closedWithinMs = 5_000): Promise<Account> {
  const until = Date.now() + closedWithinMs
  const open = () => rows("select * from entries where state = 'open'")
  while ((await open()).length > 0 && Date.now() < until) await wait(20)
  assert.deepEqual(await open(), [], 'no entry is open')
  await assertInvariants({ rows })
  await assertUsage(rows)
  const entries = await rows("select * from entries where kind <> 'adjustment' order by id")
  for (const entry of entries) assertEnded(entry)
  const byUser = Map.groupBy(entries, (entry) => String(entry.user_id))
  return {
    entries,
    entriesOf: (userId) => byUser.get(userId) ?? [],
    users: new Map((await rows('select * from users')).map((user) => [String(user.id), user])),
  }
}

/**
 * Usage is added up apart from the ledger, in the transaction that closes an entry, by user and in total: an entry
 * that was closed twice shows. No row here is old enough for upkeep to remove it.
 */
async function assertUsage(rows: Reader): Promise<void> {
  const kinds = ['input', 'cache_read', 'cache_written', 'output', 'reasoning']
  const figures = [...kinds, 'units']
  const sums = figures.map((name) => `sum(${name}) ${name}`).join(', ')
  const counted = (keys: string, source: string) =>
    rows(`select ${keys}, sum(requests) requests, ${sums} from ${source} group by ${keys} order by ${keys}`)
  const booked = (keys: string) =>
    rows(`select ${keys}, count(*) requests, ${sums} from entries
      where kind = 'metered' and state <> 'open' group by ${keys} order by ${keys}`)
  const columns = `user_id, family, model, requests, ${kinds}, ${kinds.join(' + ')} + weighing units`
  const byUser = `(select ${columns} from usage_minutes union all select ${columns} from usage_hours) as used`
  const [user, total] = ['user_id, family, model', 'family, model']
  assertSame(
    await counted(user, byUser),
    await booked(user),
    'usage is the sum of the ledger, each entry in it once',
  )
  const byTotal = `(select ${columns.replace('user_id, ', '')} from total_hours) as used`
  assertSame(await counted(total, byTotal), await booked(total), 'and so is what all have used')

  /** Reports show a bounded number of models by their names. Where some are counted together, their sum must be right. */
  function assertSame(used: readonly Row[], entries: readonly Row[], what: string): void {
    const groupOf = ({ user_id, family }: Row) => `${user_id} ${family}`
    const together = new Set(used.filter(({ model }) => model === otherModel).map(groupOf))
    const isApart = (row: Row) => !together.has(groupOf(row))
    assert.deepEqual(used.filter(isApart), entries.filter(isApart), what)
    for (const group of together) {
      const isIn = (row: Row) => groupOf(row) === group
      const [inUse, inEntries] = [used.filter(isIn), entries.filter(isIn)]
      for (const name of ['requests', ...figures])
        assert.equal(sumOf(inUse, name), sumOf(inEntries, name), `${what}: ${name} of ${group}`)
      for (const row of inUse.filter(({ model }) => model !== otherModel)) {
        const entry = inEntries.find(({ model }) => model === row.model)
        for (const name of ['requests', ...kinds])
          assert.ok(Number(row[name]) <= Number(entry?.[name]), `${what}: ${name} of ${row.model}`)
      }
    }
  }
}

function sumOf(rows: readonly Row[], name: string): number {
  return rows.reduce((sum, row) => sum + Number(row[name]), 0)
}

function assertEnded(entry: Row): void {
  const { state, is_estimated, units, input_estimate, ended_at } = entry
  const what = JSON.stringify(entry)
  assert.ok(Number(ended_at) > 0, what)
  assert.equal(units, unitsIn(entry), what)
  if (state === 'abandoned') assert.deepEqual([is_estimated, units], [1, input_estimate], what)
  else if (state === 'released') assert.deepEqual([is_estimated, units], [0, 0], what)
  else assert.equal(state, 'settled', what)
}

/** The figures of an entry, in the order and with the names in which an upstream reports them. */
export function usageIn(entry: Row): Record<string, number> {
  return {
    input: Number(entry.input),
    cacheRead: Number(entry.cache_read),
    cacheWritten: Number(entry.cache_written),
    output: Number(entry.output),
    reasoning: Number(entry.reasoning),
  }
}

function unitsIn(entry: Row): number {
  return Object.values(usageIn(entry)).reduce((sum, units) => sum + units, 0)
}
