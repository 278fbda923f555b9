import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UserCursor } from '#core/user-list.ts'
import type { Store } from '#storage/store.ts'
import { admissionUs } from './support/admissions.ts'
import { percentile } from './support/load.ts'
import { startServer } from './support/process.ts'
import { type Figure, median, report } from './support/report.ts'
import { cpuUsEach, type Side, timeOf } from './support/side.ts'
import { fillUsers, openBenchStore } from './support/stores.ts'

/** What a million users cost: admission against a thousand, the full list, and pages at any depth. */
const many = Number(process.env.BENCH_USERS ?? 1_000_000)
const few = 1000
const asksARound = 20_000
/** For a comparison with another revision, which measures the ratio of both and not the growth with users. */
const manyOfSide = Number(process.env.BENCH_USERS ?? 20_000)

/** A stride that visits users far from each other, as real traffic does. */
async function driveUsers(folder: string, users: number): Promise<number> {
  const store = await openBenchStore(folder)
  const us = await admitUsers(store, users, asksARound)
  await store.close()
  return us
}

function admitUsers(store: Store, users: number, asks: number): Promise<number> {
  return admissionUs(store, { accessTokenAt: (number) => `bench-${(number * 7919) % users}`, asks })
}

async function pageMs(store: Store, pages = 60): Promise<readonly number[]> {
  const times: number[] = []
  const total = await store.users.countUsers({}, Date.now())
  let after: UserCursor | undefined
  for (let depth = 0; depth < pages; depth++) {
    const begin = performance.now()
    const page = await store.users.listUsers({ limit: 50, now: Date.now(), ...(after && { after }) })
    times.push(performance.now() - begin)
    // Skips ahead, so that the last pages are measured as well.
    const leap = await store.users.listUsers({
      limit: Math.floor(total / pages) - 50,
      now: Date.now(),
      ...(page.next && { after: page.next }),
    })
    after = leap.next
    if (!after) break
  }
  return times.sort((a, b) => a - b)
}

/** Reads the whole list through the admin API; the server's memory is measured while it streams. */
async function streamList(
  folder: string,
): Promise<{ readonly residentMb: number; readonly seconds: number; readonly users: number }> {
  const server = await startServer('tollgate', ['http://127.0.0.1:9/', '0'], {
    env: { BENCH_DATA_DIR: folder, BENCH_MASTER_KEY: '07'.repeat(32) },
  })
  const begin = performance.now()
  let resident = 0
  let users = 0
  const watch = setInterval(() => {
    void server.read().then((reading) => {
      resident = Math.max(resident, reading.residentBytes)
    })
  }, 250)
  await new Promise<void>((resolve, reject) => {
    get(
      `${server.url}/admin/users`,
      { headers: { authorization: 'Bearer bench-admin-key-1' } },
      (response) => {
        // A line that is cut between two pieces is joined again.
        const mark = '"promptCount"'
        let rest = ''
        response.on('data', (data: Buffer) => {
          const parts = (rest + data.toString('latin1')).split(mark)
          users += parts.length - 1
          rest = (parts.at(-1) ?? '').slice(1 - mark.length)
        })
        response.on('end', resolve)
      },
    ).on('error', reject)
  })
  clearInterval(watch)
  const seconds = (performance.now() - begin) / 1000
  await server.stop()
  return { residentMb: resident / 1e6, seconds, users }
}

export async function benchUsers(): Promise<boolean> {
  const folders = [few, many].map(() => mkdtempSync(join(tmpdir(), 'tollgate-bench-')))
  const [small = '', large = ''] = folders
  try {
    await fillUsers(small, few)
    await fillUsers(large, many)
    const pairs: (readonly [number, number])[] = []
    await driveUsers(small, few)
    await driveUsers(large, many)
    for (let round = 0; round < 5; round++)
      pairs.push([await driveUsers(small, few), await driveUsers(large, many)])
    const store = await openBenchStore(large)
    const pages = await pageMs(store)
    await store.close()
    const list = await streamList(large)
    const figures: Figure[] = [
      {
        what: `admission and settlement with ${few} users`,
        value: median(pairs.map(([one]) => one)),
        unit: 'us',
      },
      {
        what: `admission and settlement with ${many} users`,
        value: median(pairs.map(([, other]) => other)),
        unit: 'us',
      },
      { what: 'ratio', value: median(pairs.map(([one, other]) => other / one)), unit: 'x', atMost: 1.5 },
      {
        what: 'a page of 50 at any depth, longest',
        value: pages.at(-1) ?? Number.NaN,
        unit: 'ms',
        atMost: 20,
      },
      { what: 'a page of 50, median', value: percentile(pages, 0.5), unit: 'ms' },
      {
        what: `the list of all ${list.users}, resident memory`,
        value: list.residentMb,
        unit: 'MB',
        atMost: 300,
      },
      { what: 'the list of all, time', value: list.seconds, unit: 's' },
    ]
    return report('users: a million of them', figures)
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}

/** The stores stay open, so that a round measures what it asks and not the opening. */
export async function openSide(): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  await fillUsers(folder, manyOfSide)
  const list = await streamList(folder)
  const store = await openBenchStore(folder)
  await admitUsers(store, manyOfSide, asksARound)
  const asks = 3000
  return {
    async round() {
      let us = Number.NaN
      const cpuUs = await cpuUsEach(asks, async () => {
        us = await admitUsers(store, manyOfSide, asks)
      })
      const pages = await pageMs(store, 10)
      return [
        timeOf(`admission, settlement: ${manyOfSide} users`, us, 'us'),
        timeOf(`admission, settlement: ${manyOfSide} users, CPU`, cpuUs, 'us'),
        timeOf('a page of 50 at any depth, median', percentile(pages, 0.5), 'ms'),
        timeOf('the list of all, resident memory', list.residentMb, 'MB'),
      ]
    },
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
