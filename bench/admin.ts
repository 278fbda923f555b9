import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminBytes, benchAdminKey } from './support/admin-requests.ts'
import { percentile, runLoad } from './support/load.ts'
import { type Measured, startServer } from './support/process.ts'
import { type Figure, report } from './support/report.ts'
import { type Sample, type Side, timeOf } from './support/side.ts'

/**
 * The six operations of the admin API's contract: bulk upsert, the list of all, PUT, POST, DELETE and GET of one user.
 * Everything goes over HTTP to a server as an operator runs it, so that any revision can be asked.
 */
const many = Number(process.env.BENCH_USERS ?? 100_000)
/** For a comparison with another revision. */
const manyOfSide = Number(process.env.BENCH_USERS ?? 10_000)
const atOnce = 20
const listsAtOnce = 20

interface Cost {
  readonly seconds: number
  /** CPU of all threads of the server. */
  readonly cpuMs: number
}

/** A server with its database in a folder. */
interface Bench {
  readonly server: Measured
  readonly folder: string
}

async function open(folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))): Promise<Bench> {
  const env = { BENCH_DATA_DIR: folder, BENCH_MASTER_KEY: '07'.repeat(32), LOG_LEVEL: 'warn' }
  return { folder, server: await startServer('tollgate', ['http://127.0.0.1:9/', '0'], { env }) }
}

async function measured({ server }: Bench, work: () => Promise<unknown>): Promise<Cost> {
  const before = await server.read()
  const begin = performance.now()
  await work()
  const seconds = (performance.now() - begin) / 1000
  return { seconds, cpuMs: (await server.read()).cpuMs - before.cpuMs }
}

interface Batch {
  readonly requests: number
  readonly connections: number
  readonly request: (number: number) => Buffer
}

async function drive({ server }: Bench, { requests, connections, request }: Batch): Promise<void> {
  const result = await runLoad({ url: server.url, connections, requests, request })
  if (result.failed > 0) throw new Error(`${result.failed} of ${requests} requests were refused`)
}

const accessTokenAt = (number: number) => `bench-${number}`
const pathAt = (number: number) => `/admin/users/${accessTokenAt(number)}`
const bodyAt = (number: number, nickname = `user ${number}`) => ({
  nickname,
  type: 'normal',
  tokenLimits: { turbo: 1_000_000 },
})

/** Creates or merges users in calls of `each`. */
function upsert(bench: Bench, from: number, count: number, each: number): Promise<void> {
  const request = (call: number) => {
    const first = from + call * each
    const users = Array.from({ length: Math.min(each, from + count - first) }, (_, index) => ({
      token: accessTokenAt(first + index),
      ...bodyAt(first + index),
    }))
    return adminBytes('PUT', '/admin/users', { users })
  }
  return drive(bench, { requests: Math.ceil(count / each), connections: 1, request })
}

/** Reads the list of all users, and checks that it has all of them. */
function list({ server }: Bench, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${benchAdminKey}` }
    get(`${server.url}/admin/users`, { headers, agent: false }, (response) => {
      let end = ''
      let bytes = 0
      response.on('data', (data: Buffer) => {
        bytes += data.length
        end = (end + data.toString('latin1', Math.max(0, data.length - 40))).slice(-40)
      })
      response.on('end', () =>
        end.endsWith(`"count":${count}}`) ? resolve(bytes) : reject(new Error(`the list ends with ${end}`)),
      )
    }).on('error', reject)
  })
}

/** The most memory that the server held meanwhile, megabytes. */
async function residentMb({ server }: Bench, work: () => Promise<unknown>): Promise<number> {
  let most = 0
  let isDone = false
  const watching = (async () => {
    while (!isDone) {
      most = Math.max(most, (await server.read()).residentBytes / 1e6)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  await work()
  isDone = true
  await watching
  return most
}

/** How long another request waits meanwhile: the 99th percentile of GET of one user, milliseconds. */
async function waitMs({ server }: Bench, work: () => Promise<unknown>): Promise<number> {
  const bytes = adminBytes('GET', pathAt(0))
  const latencies: number[] = []
  let isDone = false
  const asking = (async () => {
    while (!isDone) {
      const result = await runLoad({
        ...{ url: server.url, connections: 1, requests: 20 },
        request: () => bytes,
      })
      latencies.push(...result.latencies)
    }
  })()
  await work()
  isDone = true
  await asking
  return percentile(
    latencies.toSorted((a, b) => a - b),
    0.99,
  )
}

/** The operations on single users, some requests of each; `first` is a number that no user has yet. */
function singles(count: number, first: number): readonly (readonly [string, Batch])[] {
  const connections = atOnce
  return [
    [
      'PUT of one user, 20 at once',
      { requests: count, connections, request: (n) => adminBytes('PUT', pathAt(n), bodyAt(n, `put ${n}`)) },
    ],
    [
      'POST of one user, 20 at once',
      { requests: count, connections, request: (n) => adminBytes('POST', '/admin/users', bodyAt(n)) },
    ],
    [
      'GET of one user, 20 at once',
      { requests: count, connections, request: (n) => adminBytes('GET', pathAt(n)) },
    ],
    [
      'DELETE of one user, one by one',
      {
        requests: Math.ceil(count / 4),
        connections: 1,
        request: (n) => adminBytes('DELETE', pathAt(n + (first % 1000))),
      },
    ],
  ]
}

export async function benchAdmin(): Promise<boolean> {
  let bench = await open()
  try {
    await upsert(bench, many, 100, 100)
    const fresh = await measured(bench, () => upsert(bench, 0, many, 10_000))
    const again = await measured(bench, () => upsert(bench, 0, many, 10_000))
    const total = many + 100
    await bench.server.stop()
    bench = await open(bench.folder)
    const first = await measured(bench, () => list(bench, total))
    const second = await measured(bench, () => list(bench, total))
    const resident = await residentMb(bench, () => list(bench, total))
    const wait = await waitMs(bench, () => list(bench, total))
    const lists = await measured(bench, () =>
      Promise.all(Array.from({ length: listsAtOnce }, () => list(bench, total))),
    )
    const figures: Figure[] = [
      ...toFigures(`bulk upsert of ${many} in calls of 10,000, new`, fresh),
      ...toFigures('the same again', again),
      ...toFigures(`the list of all ${total}`, first),
      ...toFigures('the list read again', second),
      ...toFigures(`the list, ${listsAtOnce} at once`, lists),
      { what: 'the list: resident memory', value: resident, unit: 'MB', atMost: 250 },
      { what: 'a GET meanwhile: 99th percentile', value: wait, unit: 'ms' },
    ]
    for (const [what, batch] of singles(4000, 0))
      figures.push(
        ...toFigures(`${what}: ${batch.requests}`, await measured(bench, () => drive(bench, batch))),
      )
    return report('admin: the operations of the contract', figures)
  } finally {
    await bench.server.stop()
    rmSync(bench.folder, { recursive: true, force: true })
  }
}

function toFigures(what: string, { seconds, cpuMs }: Cost): Figure[] {
  return [
    { what, value: seconds, unit: 's' },
    { what: `${what}: CPU`, value: cpuMs / 1000, unit: 's' },
  ]
}

function toSamples(what: string, count: number, { seconds, cpuMs }: Cost): Sample[] {
  return [timeOf(what, (seconds * 1e6) / count, 'us'), timeOf(`${what}: CPU`, (cpuMs * 1000) / count, 'us')]
}

/** The list is read from a database that does not grow; the upserts go to another one. */
export async function openSide(): Promise<Side> {
  let listed = await open()
  await upsert(listed, 0, manyOfSide, 5_000)
  await listed.server.stop()
  listed = await open(listed.folder)
  const first = await measured(listed, () => list(listed, manyOfSide))
  const resident = await residentMb(listed, () => list(listed, manyOfSide))
  const written = await open()
  const each = Math.min(2_500, manyOfSide)
  const single = 200
  let next = 0
  return {
    async round() {
      const samples: Sample[] = []
      const begin = next
      next += each
      const measure = async (what: string, count: number, bench: Bench, work: () => Promise<unknown>) =>
        samples.push(...toSamples(what, count, await measured(bench, work)))
      await measure('bulk upsert, new: a user', each, written, () => upsert(written, begin, each, each))
      await measure('bulk upsert, again: a user', each, written, () => upsert(written, begin, each, each))
      await measure('list read again: a user', manyOfSide, listed, () => list(listed, manyOfSide))
      for (const [what, batch] of singles(single, begin))
        await measure(what, batch.requests, written, () => drive(written, batch))
      return [
        ...samples,
        ...toSamples('list read first: a user', manyOfSide, first),
        timeOf('list: resident memory', resident, 'MB'),
      ]
    },
    async close() {
      for (const { server, folder } of [listed, written]) {
        await server.stop()
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}
