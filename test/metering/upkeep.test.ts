import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { openUpkeep, runUpkeep } from '#metering/upkeep.ts'
import type { UpkeepStore } from '#storage/store.ts'

const now = Date.parse('2026-11-22T12:34:56Z')
const dayMs = 86_400_000

interface Call {
  readonly name: keyof UpkeepStore
  readonly before: number
  readonly limit: number
}

/** A store in which there is so much to do, and that notes what it is told to. */
function createDoer(left: Partial<Record<keyof UpkeepStore, number>> = {}) {
  const calls: Call[] = []
  const todo = { ...left }
  let running = 0
  const task = (name: keyof UpkeepStore) => async (before: number, limit: number) => {
    calls.push({ name, before, limit })
    running++
    assert.equal(running, 1, 'two batches at once')
    await new Promise((resolve) => setImmediate(resolve))
    running--
    const count = Math.min(limit, todo[name] ?? 0)
    todo[name] = (todo[name] ?? 0) - count
    return count
  }
  const store: UpkeepStore = {
    gatherUsage: task('gatherUsage'),
    // By a timer of its own, beside the pass.
    async gatherRequests(before, limit) {
      calls.push({ name: 'gatherRequests', before, limit })
      const count = Math.min(limit, todo.gatherRequests ?? 0)
      todo.gatherRequests = (todo.gatherRequests ?? 0) - count
      return count
    },
    purgeMinutes: task('purgeMinutes'),
    purgeEntries: task('purgeEntries'),
    purgeEvents: task('purgeEvents'),
    purgeUsers: task('purgeUsers'),
    purgeAddresses: task('purgeAddresses'),
    purgeClaims: task('purgeClaims'),
    purgeTokens: task('purgeTokens'),
    purgeTraces: (_, limit) => task('purgeTraces')(now, limit),
    purgeCorrections: task('purgeCorrections'),
    purgeChanges: task('purgeChanges'),
  }
  return { store, calls, running: () => running }
}

const pass = { now, retentionDays: 90, auditDays: 30, purgeAfterDays: 30, pauseMs: 0 }

describe('a pass of upkeep', () => {
  it('does each thing in batches until there is no more of it', async () => {
    const { store, calls } = createDoer({ purgeEntries: 1200, gatherUsage: 500 })
    assert.deepEqual(await runUpkeep(store, pass), { purgeEntries: 1200, gatherUsage: 500 })
    const count = (name: string) => calls.filter((call) => call.name === name).length
    assert.deepEqual([count('purgeEntries'), count('gatherUsage'), count('purgeUsers')], [4, 2, 1])
    assert.ok(calls.every(({ limit }) => limit === 500))
  })

  it('keeps what is to be kept', async () => {
    const { store, calls } = createDoer()
    await runUpkeep(store, pass)
    assert.deepEqual(Object.fromEntries(calls.map(({ name, before }) => [name, before])), {
      gatherUsage: Date.parse('2026-11-21T12:00:00Z'),
      purgeMinutes: now - 7 * dayMs,
      purgeAddresses: now,
      purgeClaims: now - 30 * dayMs,
      purgeTokens: now,
      purgeTraces: now,
      purgeCorrections: now - 90 * dayMs,
      purgeEntries: now - 90 * dayMs,
      purgeEvents: now - 90 * dayMs,
      purgeChanges: now - 30 * dayMs,
      purgeUsers: now - 30 * dayMs,
    })
  })

  it('keeps for ever what it is told to', async () => {
    const { store, calls } = createDoer()
    await runUpkeep(store, { ...pass, retentionDays: 0, auditDays: 0, purgeAfterDays: -1 })
    assert.deepEqual(
      calls.map(({ name }) => name),
      [
        'gatherUsage',
        'purgeMinutes',
        'purgeAddresses',
        'purgeClaims',
        'purgeTokens',
        'purgeTraces',
        'purgeCorrections',
      ],
    )
    calls.length = 0
    await runUpkeep(store, { ...pass, auditDays: 30, purgeAfterDays: 0 })
    assert.equal(calls.find(({ name }) => name === 'purgeUsers')?.before, now)
  })

  it('leaves a task that fails to the next pass, says so, and does the others', async () => {
    const { store, calls } = createDoer({ purgeUsers: 3 })
    const failures: unknown[] = []
    const failing = { ...store, purgeEntries: () => Promise.reject(new Error('the disk is full')) }
    assert.deepEqual(await runUpkeep(failing, { ...pass, onFailure: (error) => failures.push(error) }), {
      purgeUsers: 3,
    })
    assert.match(String(failures), /disk is full/)
    assert.ok(calls.some(({ name }) => name === 'purgeUsers'))
  })
})

describe('upkeep', () => {
  it('begins soon after the start, again an hour after the end, and ends with the batch under way', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { store, calls, running } = createDoer({ purgeEntries: 100_000 })
      const passes = () => calls.filter(({ name }) => name === 'gatherUsage').length
      const turn = () => new Promise((resolve) => setImmediate(resolve))
      const upkeep = openUpkeep(store, { ...pass, clock: () => now })
      mock.timers.tick(50_000)
      assert.equal(passes(), 0)
      mock.timers.tick(20_000)
      assert.equal(passes(), 1)
      while (!calls.some(({ name }) => name === 'purgeEntries')) await turn()
      assert.equal(running(), 1)
      await upkeep.close()
      assert.equal(running(), 0)
      const count = calls.length
      mock.timers.tick(10 * 3_600_000)
      await turn()
      assert.equal(calls.length, count)
    } finally {
      mock.timers.reset()
    }
  })

  it('goes on hour by hour', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { store, calls } = createDoer()
      const done = () => calls.filter(({ name }) => name === 'purgeUsers').length
      const turn = () => new Promise((resolve) => setImmediate(resolve))
      const upkeep = openUpkeep(store, { ...pass, clock: () => now })
      for (let passes = 1; passes <= 3; passes++) {
        mock.timers.tick(3_600_000 * 1.1)
        while (done() < passes) await turn()
        for (let turns = 0; turns < 5; turns++) await turn()
      }
      assert.equal(done(), 3)
      await upkeep.close()
    } finally {
      mock.timers.reset()
    }
  })

  it('gathers requests of a minute ago, until there are no more, every ten seconds', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { store, calls } = createDoer({ gatherRequests: 700 })
      const turn = () => new Promise((resolve) => setImmediate(resolve))
      const gathered = () => calls.filter(({ name }) => name === 'gatherRequests')
      const failures: unknown[] = []
      let isAway = false
      const upkeep = openUpkeep(
        {
          ...store,
          gatherRequests: (before, limit) =>
            isAway ? Promise.reject(new Error('away')) : store.gatherRequests(before, limit),
        },
        { ...pass, clock: () => now, onFailure: (error) => failures.push(error) },
      )
      mock.timers.tick(8_000)
      assert.equal(gathered().length, 0)
      mock.timers.tick(3_000)
      const until = Date.now() + 10_000
      while (gathered().length < 4 && Date.now() < until) await turn()
      assert.deepEqual(
        gathered(),
        Array(4).fill({ name: 'gatherRequests', before: now - 60_000, limit: 250 }),
      )
      // What a database that is away fails with is told once.
      isAway = true
      for (let time = 0; time < 3; time++) {
        mock.timers.tick(11_000)
        for (let turns = 0; turns < 20; turns++) await turn()
      }
      assert.deepEqual(failures.map(String), ['Error: away'])
      isAway = false
      mock.timers.tick(11_000)
      while (gathered().length < 5 && Date.now() < until) await turn()
      await upkeep.close()
      const count = calls.length
      mock.timers.tick(100_000)
      await turn()
      assert.equal(calls.length, count)
    } finally {
      mock.timers.reset()
    }
  })
})
