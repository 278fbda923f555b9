import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UsageQuestion } from '#core/usage-question.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { runUpkeep } from '#metering/upkeep.ts'
import { reportUsage } from '#metering/usage-report.ts'
import type { Store } from '#storage/store.ts'
import { admissionUs } from './support/admissions.ts'
import { fillLedger } from './support/ledger.ts'
import { percentile } from './support/load.ts'
import { type Figure, median, report } from './support/report.ts'
import { cpuUsEach, type Side, timeOf } from './support/side.ts'
import { databaseIn, fillUsers, openBenchStore } from './support/stores.ts'

/** What ten million entries cost: charts over them, admission beside them, and removing them under load. */
const entries = Number(process.env.BENCH_ENTRIES ?? 10_000_000)
const many = Number(process.env.BENCH_USERS ?? 1_000_000)
const few = 1000
/** For a comparison with another revision, which measures the ratio of both and not the growth with entries. */
const ofSide = {
  users: Number(process.env.BENCH_USERS ?? 20_000),
  entries: Number(process.env.BENCH_ENTRIES ?? 200_000),
}
const reservationsOf = (users: number) => Math.min(100_000, users)
const days = 90
const asksARound = 20_000
const dayMs = 86_400_000

/** A stride that visits users far from each other, and ids as the gateway makes them. */
const driveOf = (users: number) => ({
  accessTokenAt: (number: number) => `bench-${(number * 7919) % users}`,
  requestIdAt: () => createSortableId('req_', Date.now()),
})

async function reserve(folder: string, reservations: number): Promise<void> {
  const store = await openBenchStore(folder)
  const now = Date.now()
  const units = { model: 'gpt-4o-mini', family: 'turbo', input: 10, output: 100, choices: 1 }
  for (let from = 0; from < reservations; from += 250) {
    const asks = Array.from({ length: Math.min(250, reservations - from) }, (_, index) => ({
      ...{ requestId: `res_held${from + index}`, accessToken: `bench-${from + index}`, address: undefined },
      ...{ route: '/v1/chat/completions', isMetered: true, units, leaseUntil: now + 3_600_000 },
    }))
    const { asks: answers } = await store.metering.runBatch({ now, settlements: [], asks })
    if (answers.some(({ kind }) => kind !== 'admitted')) throw new Error('a reservation was refused')
  }
  await store.close()
}

async function chartMs(store: Store, question: Omit<UsageQuestion, 'limit'>, asks: number): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < asks; round++) {
    const begin = performance.now()
    const { rows } = await reportUsage(store.usage, { ...question, limit: 10_000 })
    times.push(performance.now() - begin)
    if (rows.length === 0) throw new Error('a chart without rows')
  }
  return median(times)
}

async function charts(store: Store, now: number, userId: string, times = 9): Promise<readonly Figure[]> {
  const ask = (bucket: 'hour' | 'day', length: number) => ({ bucket, from: now - length * dayMs, to: now })
  const chart = async (what: string, question: Omit<UsageQuestion, 'limit'>): Promise<Figure> => ({
    what: `chart: ${what}`,
    value: await chartMs(store, question, times),
    unit: 'ms',
    atMost: 100,
  })
  return [
    await chart('30 days by the hour', { ...ask('hour', 30), groupBy: [] }),
    await chart('30 days by day and model', { ...ask('day', 30), groupBy: ['model'] }),
    await chart('90 days by day and model', { ...ask('day', days), groupBy: ['model'] }),
    await chart('7 days by hour, model, upstream, status', {
      ...ask('hour', 7),
      groupBy: ['model', 'upstream', 'status'],
    }),
    await chart('one user’s 90 days by day', { ...ask('day', days), groupBy: [], userId }),
    await chart('one user’s 90 days by day and model', { ...ask('day', days), groupBy: ['model'], userId }),
  ]
}

/** Admissions while the older half of the ledger is being removed, and as long as that beside nothing. */
async function besideUpkeep(store: Store, now: number): Promise<readonly Figure[]> {
  const load = async (seconds: number): Promise<readonly number[]> => {
    const times: number[] = []
    const until = performance.now() + seconds * 1000
    await admissionUs(store, {
      ...driveOf(many),
      asks: Number.POSITIVE_INFINITY,
      atOnce: 16,
      goesOn: () => performance.now() < until,
      took: (ms) => times.push(ms),
    })
    return times.sort((a, b) => a - b)
  }
  const seconds = 15
  const alone = await load(seconds)
  const end = new AbortController()
  const begin = performance.now()
  const pass = {
    now,
    retentionDays: days / 2,
    auditDays: 0,
    purgeAfterDays: 30,
    pauseMs: 25,
    signal: end.signal,
  }
  const upkeep = runUpkeep(store.upkeep, pass)
  const beside = await load(seconds)
  end.abort()
  const done = await upkeep
  const removed = Object.values(done).reduce((sum, rows) => sum + rows, 0)
  if (!done.purgeEntries) throw new Error('no entry was removed')
  const perSecond = removed / ((performance.now() - begin) / 1000)
  const ms = (what: string, value: number): Figure => ({ what, value, unit: 'ms' })
  return [
    { what: 'upkeep beside load', value: perSecond, unit: 'rows/s', atLeast: 2000 },
    ms('admission alone, 99th percentile', percentile(alone, 0.99)),
    ms('admission beside upkeep, 99th percentile', percentile(beside, 0.99)),
    ms('admission alone, longest', alone.at(-1) ?? Number.NaN),
    { ...ms('admission beside upkeep, longest', beside.at(-1) ?? Number.NaN), atMost: 250 },
  ]
}

export async function benchUsage(): Promise<boolean> {
  const folders = [few, many].map(() => mkdtempSync(join(tmpdir(), 'tollgate-bench-')))
  const [small = '', large = ''] = folders
  try {
    await fillUsers(small, few)
    await fillUsers(large, many)
    const drive = async (folder: string, users: number): Promise<number> => {
      const store = await openBenchStore(folder)
      const us = await admissionUs(store, { ...driveOf(users), asks: asksARound })
      await store.close()
      return us
    }
    const rounds = async (): Promise<readonly (readonly [number, number])[]> => {
      await drive(small, few)
      await drive(large, many)
      const pairs: (readonly [number, number])[] = []
      for (let round = 0; round < 5; round++) pairs.push([await drive(small, few), await drive(large, many)])
      return pairs
    }
    const ratioOf = (pairs: readonly (readonly [number, number])[]) =>
      median(pairs.map(([one, other]) => other / one))
    const empty = await rounds()
    await reserve(large, reservationsOf(many))
    const now = Date.now()
    const userId = fillLedger(databaseIn(large), { entries, days, now })
    const full = await rounds()

    const store = await openBenchStore(large)
    const figures: Figure[] = [
      ...(await charts(store, now, userId)),
      {
        what: `admission, settlement: ${few} users, empty ledger`,
        value: median([...empty, ...full].map(([one]) => one)),
        unit: 'us',
      },
      {
        what: `the same: ${many} users, empty ledger`,
        value: median(empty.map(([, other]) => other)),
        unit: 'us',
      },
      {
        what: `the same: ${many} users, ${entries} entries, ${reservationsOf(many)} open`,
        value: median(full.map(([, other]) => other)),
        unit: 'us',
      },
      // Both against the few users that were measured beside them.
      {
        what: 'ledger and reservations against none',
        value: ratioOf(full) / ratioOf(empty),
        unit: 'x',
        atMost: 1.5,
      },
      { what: 'all of it against few users and nothing', value: ratioOf(full), unit: 'x', atMost: 1.5 },
      ...(await besideUpkeep(store, now)),
    ]
    await store.close()
    return report(`usage: ${entries} entries`, figures)
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}

export async function openSide(): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  const { users, entries } = ofSide
  await fillUsers(folder, users)
  await reserve(folder, reservationsOf(users))
  const now = Date.now()
  const userId = fillLedger(databaseIn(folder), { entries, days, now })
  const store = await openBenchStore(folder)
  await admissionUs(store, { ...driveOf(users), asks: asksARound })
  const asks = 3000
  return {
    async round() {
      let us = Number.NaN
      const cpuUs = await cpuUsEach(asks, async () => {
        us = await admissionUs(store, { ...driveOf(users), asks })
      })
      return [
        timeOf(`admission, settlement: ${entries} entries`, us, 'us'),
        timeOf(`admission, settlement: ${entries} entries, CPU`, cpuUs, 'us'),
        ...(await charts(store, now, userId, 3)).map(({ what, value, unit }) => timeOf(what, value, unit)),
      ]
    },
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
