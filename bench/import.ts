import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { benchAdminKey } from './support/admin-requests.ts'
import { percentile, requestBytes, runLoad } from './support/load.ts'
import { type Measured, startServer } from './support/process.ts'
import { type Figure, report } from './support/report.ts'

/**
 * An import of a million users into a running server, while requests flow through its gateway: a hundred a second, from users
 * who were there before. Then the same file again, which changes nothing.
 */
const many = Number(process.env.BENCH_USERS ?? 1_000_000)
const known = 1_000
const linesAtOnce = 500
const quietSeconds = 5
const secondsMax = 60
const residentMbMax = 400
const slowerMax = 3

const body = JSON.stringify({
  model: 'gpt-4o-mini',
  messages: [{ role: 'user', content: 'Say hello to the whole world.' }],
})

interface Seen {
  readonly seconds: number
  /** CPU of all threads of the server, its requests included. */
  readonly cpuSeconds: number
  readonly residentMb: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly mostMs: number
}

/** Requests and memory are measured for as long as the work takes. */
async function watched(server: Measured, work: () => Promise<unknown>): Promise<Seen> {
  const { host } = new URL(server.url)
  const latencies: number[] = []
  let most = 0
  let isDone = false
  const before = await server.read()
  const asking = (async () => {
    while (!isDone) {
      const until = performance.now() + 200
      const load = await runLoad({
        ...{ url: server.url, connections: 4, requests: 20 },
        request: (number) => requestBytes(host, '/v1/chat/completions', `bench-${number % known}`, body),
      })
      if (load.failed > 0) throw new Error(`${load.failed} requests failed`)
      latencies.push(...load.latencies)
      most = Math.max(most, (await server.read()).residentBytes)
      await wait(Math.max(0, until - performance.now()))
    }
  })()
  const begin = performance.now()
  await work()
  const seconds = (performance.now() - begin) / 1000
  isDone = true
  await asking
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    seconds,
    cpuSeconds: ((await server.read()).cpuMs - before.cpuMs) / 1000,
    residentMb: most / 1e6,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    mostMs: sorted.at(-1) ?? Number.NaN,
  }
}

function* linesOf(count: number): Generator<string> {
  for (let from = 0; from < count; from += linesAtOnce) {
    let text = ''
    for (let number = from; number < Math.min(count, from + linesAtOnce); number += 1)
      text += `{"token":"imported-${number}","nickname":"user ${number}","type":"normal","tokenLimits":{"turbo":1000000}}\n`
    yield text
  }
}

async function importAll(server: Measured, count: number): Promise<Readonly<Record<string, unknown>>> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const sent = request(`${server.url}/admin/users/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${benchAdminKey}`, 'content-type': 'application/x-ndjson' },
  })
  sent.on('error', reject)
  sent.on('response', (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (data: string) => {
      text += data
    })
    response.on('end', () => resolve(text))
  })
  await pipeline(Readable.from(linesOf(count)), sent)
  return JSON.parse(await promise)
}

async function expect(server: Measured, field: 'created' | 'unchanged'): Promise<void> {
  const answer = await importAll(server, many)
  if (answer[field] !== many) throw new Error(`the import answered ${JSON.stringify(answer).slice(0, 500)}`)
}

export async function benchImport(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  const upstream = await startServer('upstream', [])
  const env = { BENCH_DATA_DIR: folder, BENCH_MASTER_KEY: '07'.repeat(32), LOG_LEVEL: 'warn' }
  const server = await startServer('tollgate', [`${upstream.url}/small`, String(known)], { env })
  try {
    await watched(server, () => wait(1_000))
    const quiet = await watched(server, () => wait(quietSeconds * 1_000))
    const first = await watched(server, () => expect(server, 'created'))
    const again = await watched(server, () => expect(server, 'unchanged'))
    return report(`import: ${many} users while requests flow`, [
      { what: 'without an import: p50 of a request', value: quiet.p50Ms, unit: 'ms' },
      { what: 'without an import: p99', value: quiet.p99Ms, unit: 'ms' },
      ...toFigures('new users', first, quiet),
      ...toFigures('the same again', again, quiet),
    ])
  } finally {
    await server.stop()
    await upstream.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function toFigures(what: string, seen: Seen, quiet: Seen): Figure[] {
  return [
    { what, value: seen.seconds, unit: 's', atMost: secondsMax },
    { what: `${what}: CPU of a user, requests included`, value: (seen.cpuSeconds * 1e6) / many, unit: 'us' },
    { what: `${what}: resident memory`, value: seen.residentMb, unit: 'MB', atMost: residentMbMax },
    { what: `${what}: p50 of a request meanwhile`, value: seen.p50Ms, unit: 'ms' },
    { what: `${what}: p99`, value: seen.p99Ms, unit: 'ms', atMost: slowerMax * quiet.p99Ms },
    { what: `${what}: slowest`, value: seen.mostMs, unit: 'ms' },
  ]
}
