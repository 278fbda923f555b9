import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { ServedRequest } from '#upstreams/simulated/served.ts'
import type { SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { type Account, readAccount } from './account.ts'
import { readAccountFile } from './account-file.ts'
import { call, openRaw } from './gateway-client.ts'
import { type KillPoint, killedLine, killPointEnv } from './kill-point.ts'
import { type Program, startProgram } from './process.ts'
import type { TestDatabase } from './stores.ts'

/** Where a relay's process is killed: at a write, or when a condition that is visible from outside holds. */
export interface Stop {
  readonly name: string
  /** The states that its entry may have after the next start. */
  readonly leaves: readonly ('nothing' | 'abandoned' | 'settled')[]
  /** Whether the upstream has received the request by then; left out where both are possible. */
  readonly wasSent?: boolean
  readonly point?: KillPoint
  /** What the upstream simulates. */
  readonly simulate?: string
  readonly isReached?: (seen: Seen) => boolean
}

export interface Seen {
  /** Everything that the client has received. */
  readonly received: string
  /** The client received the complete answer. */
  readonly isWhole: boolean
  /** What the upstream has served for it. */
  readonly served: () => readonly ServedRequest[]
}

/** A relay whose process was killed, and its outcome after the next start. */
export interface Fallen extends Seen {
  readonly stop: Stop
  readonly userId: string
}

interface WalkOptions {
  readonly folder: string
  readonly database: TestDatabase
  readonly upstream: SimulatedUpstream
  readonly isStream: boolean
  /** Where to stop, given all writes of one relay in order. */
  readonly stopsFor: (writes: readonly string[]) => readonly Stop[]
  readonly check: (fallen: Fallen, account: Account) => void
}

const adminKey = 'a-test-admin-key-1'
const patienceMs = 20_000
/** Longer than the silence after which a process on a shared database counts as dead. */
const silenceMs = 60_000

/**
 * Kills one relay after the other, each of its own user. The start that cleans up after one relay also serves the
 * next one: starts take most of the time here, and a kill point is inactive until a relay comes. On a shared database
 * a start leaves other processes' entries alone, so there the last process waits until all killed ones count as dead.
 */
export async function walkStops(options: WalkOptions): Promise<readonly Stop[]> {
  const { folder, database, upstream, isStream, check } = options
  const log = join(folder, 'writes.log')
  const { DATA_DIR: data = join(folder, 'data'), DATABASE_URL } = database.env
  const isShared = DATABASE_URL !== undefined
  const env = {
    ...database.env,
    DATA_DIR: data,
    PORT: '0',
    ADMIN_KEY: adminKey,
    OPENAI_BASE_URL: `${upstream.url}/v1`,
    OPENAI_API_KEY: 'x',
    LOG_LEVEL: 'error',
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
  }
  let program: Program | undefined
  let count = 0

  async function start(point?: KillPoint): Promise<number> {
    program = startProgram([], { ...env, ...killPointEnv(log, point) })
    return Number(new URL(await program.listening).port)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    program?.process.kill(signal)
    await program?.exit
  }

  const read = () => (isShared ? readAccount(database.rows, silenceMs) : readAccountFile(data))
  const linesOf = () => readFileSync(log, 'utf8').split('\n').slice(0, -1)

  async function relay(port: number, stop: Stop): Promise<Fallen> {
    const headers = { authorization: `Bearer ${adminKey}` }
    // With these limits an admission writes everything that it can write.
    const limits = { requestsPerMinute: 600, maxIps: 5, tokenLimits: { turbo: 100_000 } }
    const made = JSON.parse((await call(port, { path: '/admin/users', headers, body: limits })).text)
    count += 1
    const model = ['gpt-4o-mini@mark', count, '; ', stop.simulate ?? ''].join('')
    const body = { model, stream: isStream, messages: [{ role: 'user', content: 'one two three' }] }
    const raw = openRaw(port, { path: '/v1/chat/completions', accessToken: String(made.token), body })
    const see = (): Fallen => {
      const received = raw.received()
      // Evaluated at each call: a request that was under way at the kill may still arrive at the upstream.
      const served = () => upstream.served().filter((each) => each.model === model)
      return { stop, userId: String(made.id), received, isWhole: isWhole(received), served }
    }
    const { isReached } = stop
    const until = Date.now() + patienceMs
    let isOver = false
    void raw.closed.then(() => {
      isOver = true
    })
    if (isReached) {
      while (!isReached(see())) {
        assert.ok(!isOver && Date.now() < until, `${stop.name}: came to no such moment: ${raw.received()}`)
        await wait(1)
      }
      return see()
    }
    await Promise.race([raw.closed, wait(patienceMs, undefined, { ref: false })])
    return see()
  }

  async function fall(port: number, stop: Stop, writes: readonly string[]): Promise<Fallen> {
    const fallen = await relay(port, stop)
    if (!stop.point) await end('SIGKILL')
    await Promise.race([program?.exit, wait(patienceMs, undefined, { ref: false })])
    assert.equal(program?.process.signalCode, 'SIGKILL', `${stop.name}: the process died there`)
    if (stop.point) {
      const { when, write } = stop.point
      const done = writes.slice(0, when === 'after' ? write : write - 1)
      const lines = linesOf()
      // Writes that are sent without waiting may have no answer yet.
      const answered = isShared && when === 'before' ? done.slice(0, lines.length - 1) : done
      assert.deepEqual(lines, [...answered, killedLine(stop.point)], `${stop.name}: it died there, not later`)
    }
    return fallen
  }

  try {
    const reference = await relay(await start(), {
      name: 'a relay that lives',
      leaves: ['settled'],
      isReached: (seen) => seen.isWhole,
    })
    await end('SIGTERM')
    const writes = linesOf()
    check(reference, await read())
    const stops = options.stopsFor(writes)
    let last = reference
    const earlier: { readonly fallen: Fallen; readonly entries: unknown }[] = []
    for (const stop of [...stops, undefined]) {
      const port = await start(stop?.point)
      // The last process stays until all relays have been checked.
      const account = isShared && stop ? undefined : await read()
      if (account && !isShared) check(last, account)
      earlier.push({ fallen: last, entries: account?.entriesOf(last.userId) })
      if (stop) last = await fall(port, stop, writes)
    }
    await end('SIGTERM')
    const account = await read()
    for (const { fallen, entries } of earlier) {
      if (isShared) check(fallen, account)
      const now = account.entriesOf(fallen.userId)
      if (entries) assert.deepEqual(now, entries, `${fallen.stop.name}: what had ended once stayed as it was`)
    }
    return stops
  } finally {
    await end('SIGKILL')
  }
}

function isWhole(received: string): boolean {
  const split = received.indexOf('\r\n\r\n')
  if (split < 0) return false
  const [head, body] = [received.slice(0, split), received.slice(split + 4)]
  const length = /^content-length: (\d+)/im.exec(head)?.[1]
  return length === undefined ? body.endsWith('\r\n0\r\n\r\n') : body.length === Number(length)
}
