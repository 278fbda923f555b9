import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { SeenChange } from '#storage/store.ts'
import { watchRevocations } from './revocation-watch.ts'

/** The order in which a change and an admission are heard of cannot be had from a real store at will. */
async function openWatch() {
  const running = new Set<string>()
  const cut: string[] = []
  const asked: string[] = []
  const failures: unknown[] = []
  const disabled = new Set<string>()
  const changes: SeenChange[] = []
  let [failing, failingReads, isLost] = [0, 0, false]
  let wake: () => void = () => assert.fail('no listener')
  const last = () => changes.at(-1) ?? { seq: 0, hash: '' }
  const watch = await watchRevocations(
    {
      users: {
        async findBlocks(ids) {
          asked.push(...ids)
          if (failing-- > 0) throw new Error('away')
          return ids.map((id) => ({ id, ...(disabled.has(id) && { disabledAt: 1 }) }))
        },
        findTokenStates: async () => [],
      },
      changes: {
        lastChange: async () => last(),
        async readChanges({ seq, hash }, limit) {
          if (failingReads-- > 0) throw new Error('away')
          const wasLost = isLost
          isLost = false
          if (wasLost) return { kind: 'lost', place: last() }
          const read = changes.filter((change) => change.seq > seq).slice(0, limit)
          return { kind: 'read', changes: read, place: read.at(-1) ?? { seq, hash } }
        },
      },
      watchChanges(onNews) {
        wake = onNews
        return () => undefined
      },
    },
    {
      runningUsers: () => running,
      cutUser: (id) => cut.push(id),
      blockUser: () => {},
      tokensOf: () => new Set<string>(),
      endToken: () => {},
    },
    () => 1000,
    (error) => failures.push(error),
  )
  return {
    ...{ running, cut, asked, failures, disabled, watch },
    say(ids: readonly string[] | 'all') {
      if (ids === 'all') isLost = true
      else
        for (const object of ids)
          changes.push({ seq: last().seq + 1, hash: object, kind: 'user.disabled', object })
      wake()
    },
    fail: (times: number) => {
      failing = times
    },
    failReads: (times: number) => {
      failingReads = times
    },
  }
}

function until(test: TestContext, isSo: () => boolean): Promise<void> {
  return test.waitFor(() => assert.ok(isSo()), { interval: 2, timeout: 10_000 })
}

describe('a watch over users who are changed', { timeout: 20_000 }, () => {
  it('looks up the users who run here, and no others', async (test) => {
    const { running, disabled, say, asked, cut } = await openWatch()
    running.add('ann').add('bob')
    disabled.add('ann')
    say(['ann', 'zoe'])
    await until(test, () => cut.length > 0)
    assert.deepEqual([asked, cut], [['ann'], ['ann']])
    say('all')
    await until(test, () => asked.length > 2)
    assert.deepEqual(asked.slice(1).toSorted(), ['ann', 'bob'])
  })

  for (const said of [['ann'], 'all'] as const)
    it(`cuts a user who starts only after the notification of a change: ${said === 'all' ? 'all users' : 'this user'}`, async (test) => {
      const { disabled, say, asked, cut, watch } = await openWatch()
      disabled.add('ann')
      watch.started('ann')
      say(said)
      // Nothing is looked up yet.
      await wait(5)
      assert.deepEqual(asked, [])
      watch.started('ann')
      await until(test, () => cut.length > 0)
      assert.deepEqual(cut, ['ann'])
    })

  it('follows every change, however many come at once', async (test) => {
    const { running, disabled, say, cut } = await openWatch()
    running.add('last')
    disabled.add('last')
    say([...Array.from({ length: 3000 }, (_, index) => `user-${index}`), 'last'])
    await until(test, () => cut.length > 0)
    assert.deepEqual(cut, ['last'])
  })

  it('reads on where a read has failed, and reports it once', async (test) => {
    const { running, disabled, say, failReads, cut, failures } = await openWatch()
    running.add('ann')
    disabled.add('ann')
    failReads(2)
    say(['ann'])
    await until(test, () => cut.length > 0)
    assert.deepEqual([cut, failures.length], [['ann'], 1])
  })

  it('asks until the store answers', async (test) => {
    const { running, disabled, say, fail, cut, failures } = await openWatch()
    running.add('ann')
    disabled.add('ann')
    fail(2)
    say(['ann'])
    await until(test, () => failures.length > 0)
    assert.deepEqual([cut, failures.length], [[], 1])
    await until(test, () => cut.length > 0)
    assert.deepEqual([cut, failures.length], [['ann'], 2])
  })
})
