import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInFamilies } from '#core/family.ts'
import { openMeter } from '#metering/batcher.ts'
import { openStore } from '#storage/open.ts'
import type { UserCursor } from '#storage/store.ts'
import { percentile } from './support/load.ts'
import { startServer } from './support/process.ts'
import { type Figure, median, report } from './support/report.ts'

/** What a million users cost: admission against a thousand, the full list, and pages at any depth. */
const many = Number(process.env.BENCH_USERS ?? 1_000_000)
const few = 1000
const asksARound = 20_000
const asksAtOnce = 64

function open(folder: string) {
  return openStore({
    database: { kind: 'sqlite', path: join(folder, 'tollgate.db') },
    masterKey: Buffer.alloc(32, 7),
    policy: { families: builtInFamilies, limits: {}, defaults: {}, outputDefault: 1000, timeZone: 'UTC' },
    instance: 'bench',
  })
}

async function fill(folder: string, count: number): Promise<void> {
  const store = await open(folder)
  for (let from = 0; from < count; from += 5000) {
    const writes = Array.from({ length: Math.min(5000, count - from) }, (_, index) => ({
      ref: { accessToken: `bench-${from + index}` },
      edit: { nickname: `user ${from + index}`, quotaLimits: { turbo: 1e12 } },
    }))
    await store.users.writeUsers(writes, Date.now() + from)
    if (from % 100_000 === 0 && from > 0) console.error(`  ${from} users written`)
  }
  await store.close()
}

/** Microseconds for an admission with its settlement, asked by many at once over all users. */
async function admissionUs(folder: string, users: number, round: number): Promise<number> {
  const store = await open(folder)
  const meter = openMeter(store.metering, Date.now)
  let asked = 0
  const drive = async () => {
    while (asked < asksARound) {
      const number = asked++
      const requestId = `bench-${users}-${round}-${number}`
      // A stride that visits users far from each other, as real traffic does.
      const accessToken = `bench-${(number * 7919) % users}`
      const units = { model: 'gpt-4o-mini', family: 'turbo', input: 10, output: 100, choices: 1 }
      const outcome = await meter.admit({
        requestId,
        accessToken,
        address: '192.0.2.1',
        route: '/v1/chat/completions',
        isMetered: true,
        units,
      })
      if (outcome.kind !== 'admitted') throw new Error(outcome.message)
      const usage = { input: 9, cacheRead: 0, cacheWritten: 0, output: 12, reasoning: 0 }
      await meter.settle({
        requestId,
        ending: 'settled',
        usage,
        isEstimated: false,
        status: 200,
        durationMs: 1,
      })
    }
  }
  const begin = performance.now()
  await Promise.all(Array.from({ length: asksAtOnce }, drive))
  const us = ((performance.now() - begin) * 1000) / asksARound
  await meter.close()
  await store.close()
  return us
}

async function pageMs(folder: string): Promise<readonly number[]> {
  const store = await open(folder)
  const times: number[] = []
  const total = await store.users.countUsers({}, Date.now())
  let after: UserCursor | undefined
  for (let depth = 0; depth < 60; depth++) {
    const begin = performance.now()
    const page = await store.users.listUsers({ limit: 50, now: Date.now(), ...(after && { after }) })
    times.push(performance.now() - begin)
    // Leaps ahead, so that the last pages are looked at as well.
    const leap = await store.users.listUsers({
      limit: Math.floor(total / 60) - 50,
      now: Date.now(),
      ...(page.next && { after: page.next }),
    })
    after = leap.next
    if (!after) break
  }
  await store.close()
  return times.sort((a, b) => a - b)
}

/** Reads the whole list through the admin API; the server's memory is looked at while it streams. */
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
        // What is cut between two pieces is put together again.
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
    await fill(small, few)
    await fill(large, many)
    const pairs: (readonly [number, number])[] = []
    await admissionUs(small, few, 99)
    await admissionUs(large, many, 99)
    for (let round = 0; round < 5; round++)
      pairs.push([await admissionUs(small, few, round), await admissionUs(large, many, round)])
    const pages = await pageMs(large)
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
