import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { noUsage } from '#core/usage.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { databases, type TestDatabase } from '../support/stores.ts'

/**
 * How large SQLite's write-ahead log becomes, whatever it is that writes. A reader who stays keeps it from being emptied;
 * nothing else may.
 */
const sqlite = databases.find(({ name }) => name === 'SQLite')
const megabyte = 1_000_000
const users = 1_000
const turbo = { quotaLimits: { turbo: 1e11 } }

function pathOf(database: TestDatabase): string {
  const settings = database.settings()
  assert.ok(settings.database.kind === 'sqlite')
  return settings.database.path
}

interface Watched {
  readonly store: Store
  readonly path: string
  readonly bytes: () => number
  /** The most that was seen since the last call. */
  readonly most: () => number
}

async function withLog(run: (watched: Watched) => Promise<void>): Promise<void> {
  const database = (await sqlite?.create()) ?? assert.fail()
  const store = await openStore(database.settings())
  const path = pathOf(database)
  const bytes = () => statSync(`${path}-wal`).size
  let most = 0
  const look = () => {
    most = Math.max(most, bytes())
  }
  const timer = setInterval(look, 2)
  const taken = () => {
    look()
    const seen = most
    most = 0
    return seen
  }
  try {
    const writes = Array.from({ length: users }, (_, index) => ({
      ref: { accessToken: `user-${index}` },
      edit: turbo,
    }))
    await store.users.writeUsers(writes, by(Date.now()))
    await run({ store, path, bytes, most: taken })
  } finally {
    clearInterval(timer)
    await store.close()
    await database.remove()
  }
}

let events = 0

function eventOf(accessToken: string): UsageEvent {
  events += 1
  return {
    eventId: `event-${events}`,
    requestId: `req_${String(events).padStart(24, '0')}`,
    accessToken,
    route: '/v1/chat/completions',
    family: 'turbo',
    model: 'gpt-4o-mini',
    usage: { ...noUsage, input: 10, output: 5 },
    isEstimated: false,
    status: 200,
  }
}

/** As `POST /usage` counts them: nothing else is asked for. */
async function report(store: Store, count: number): Promise<void> {
  for (let reported = 0; reported < count; reported += 256) {
    const batch = Array.from({ length: 256 }, (_, index) => eventOf(`user-${(reported * 7 + index) % users}`))
    await store.metering.runBatch({ now: Date.now(), settlements: [], events: batch, asks: [] })
  }
}

const newUsers = (mark: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    ref: { accessToken: `${mark}-${index}` },
    edit: { ...turbo, nickname: `${mark} ${index}`, adminNote: 'x'.repeat(200) },
  }))

/** Some two megabytes each time. */
const wideUsers = (round: number) =>
  Array.from({ length: 400 }, (_, index) => ({
    ref: { accessToken: `user-${index}` },
    edit: { adminNote: String(round).repeat(3_900) },
  }))

async function assertShrinks({ bytes }: Watched): Promise<void> {
  await waitUntil(() => bytes() < 16 * megabyte, 'a second later the log is small', 1_000)
}

describe('the write-ahead log', { skip: sqlite === undefined }, () => {
  it('stays below 64 MB under usage that is only reported, and is small a second later', () =>
    withLog(async (watched) => {
      await report(watched.store, 50_000)
      assert.ok(watched.most() < 64 * megabyte)
      await assertShrinks(watched)
      // Enough to come to the bound several times.
      assert.ok(statSync(watched.path).size > 4 * megabyte)
    }))

  it('stays below 64 MB under users by the ten thousand, in many calls and in one', () =>
    withLog(async (watched) => {
      for (const mark of ['a', 'b', 'c'])
        assert.equal(
          (await watched.store.users.writeUsers(newUsers(mark, 5_000), by(Date.now()))).kind,
          'written',
        )
      assert.ok(watched.most() < 64 * megabyte)
      const many = await watched.store.users.writeUsers(newUsers('many', 33_000), by(Date.now()))
      assert.equal(many.kind, 'written')
      assert.ok(watched.bytes() < 64 * megabyte, `${watched.bytes()} bytes right after`)
      await assertShrinks(watched)
    }))

  it('stays below 64 MB under everything at once', () =>
    withLog(async (watched) => {
      const { store } = watched
      let isOver = false
      async function untilOver(work: () => Promise<unknown>): Promise<void> {
        while (!isOver) await work()
      }
      const others = [
        untilOver(() => store.users.resetUsage({ families: 'all', limit: 200 }, by(Date.now()))),
        untilOver(() => store.users.writeUsers(newUsers('edited', 500), by(Date.now()))),
        untilOver(() => store.users.insertUser(turbo, by(Date.now()))),
        untilOver(() => store.metering.beat(Date.now())),
      ]
      await report(store, 5_000)
      isOver = true
      await Promise.all(others)
      assert.ok(watched.most() < 64 * megabyte)
      await assertShrinks(watched)
    }))

  it('holds no write up for a reader who stays, and is emptied when that one has gone', () =>
    withLog(async (watched) => {
      const { store, path } = watched
      await store.metering.beat(Date.now())
      const reader = new DatabaseSync(path)
      reader.exec('begin')
      reader.prepare('select count(*) from users').get()
      let slowestMs = 0
      for (let round = 0; round < 28; round++) {
        await store.users.writeUsers(wideUsers(round), by(Date.now()))
        const begunAt = performance.now()
        await report(store, 1)
        slowestMs = Math.max(slowestMs, performance.now() - begunAt)
      }
      assert.ok(watched.bytes() > 50 * megabyte, `${watched.bytes()} bytes while it is read`)
      // Trying in vain to empty it takes 50 ms each time.
      assert.ok(slowestMs < 1_000, `the slowest batch took ${slowestMs} ms`)
      reader.close()
      await waitUntil(() => watched.bytes() < 16 * megabyte, 'the log is small again', 10_000)
    }))

  it('is emptied at the start where a killed process has left a large one', async () => {
    const database = (await sqlite?.create()) ?? assert.fail()
    const store = await openStore(database.settings())
    const path = pathOf(database)
    const reader = new DatabaseSync(path)
    reader.exec('begin')
    reader.prepare('select count(*) from users').get()
    await store.users.writeUsers(newUsers('left', 5_000), by(Date.now()))
    await store.close()
    const left = statSync(`${path}-wal`).size
    assert.ok(left > megabyte, `${left} bytes were left`)
    // As the operating system does it for a process that was killed.
    reader.exec('commit')
    const again = await openStore(database.settings())
    assert.ok(statSync(`${path}-wal`).size < megabyte)
    await again.close()
    reader.close()
    await database.remove()
  })

  it('waits for a lock of another process without stopping this one', () =>
    withLog(async ({ store, path }) => {
      const other = new DatabaseSync(path)
      other.exec('begin immediate')
      let ticks = 0
      const ticking = setInterval(() => {
        ticks += 1
      }, 5)
      let isCounted = false
      const counted = report(store, 1).then(() => {
        isCounted = true
      })
      await waitUntil(() => ticks > 20, 'the event loop turns')
      assert.equal(isCounted, false)
      other.exec('commit')
      await counted
      clearInterval(ticking)
      other.close()
    }))
})
