import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { watchRevocations } from './revocation-watch.ts'

/** The order in which a change and an admission are heard of cannot be had from a real store at will. */
function openWatch() {
  const running = new Set<string>()
  const cut: string[] = []
  const asked: string[] = []
  const failures: unknown[] = []
  const disabled = new Set<string>()
  let failing = 0
  let say: (ids: readonly string[] | 'all') => void = () => assert.fail('no listener')
  const watch = watchRevocations(
    {
      users: {
        async findBlocks(ids) {
          asked.push(...ids)
          if (failing-- > 0) throw new Error('away')
          return ids.map((id) => ({ id, ...(disabled.has(id) && { disabledAt: 1 }) }))
        },
      },
      watchUsers(onChanged) {
        say = onChanged
        return () => undefined
      },
    },
    {
      runningUsers: () => running,
      cutUser: (id) => cut.push(id),
      blockUser: () => {},
    },
    () => 1000,
    (error) => failures.push(error),
  )
  return {
    ...{ running, cut, asked, failures, disabled, watch },
    say: (ids: readonly string[] | 'all') => say(ids),
    fail: (times: number) => {
      failing = times
    },
  }
}

function until(test: TestContext, isSo: () => boolean): Promise<void> {
  return test.waitFor(() => assert.ok(isSo()), { interval: 2, timeout: 10_000 })
}

describe('a watch over who is changed elsewhere', { timeout: 20_000 }, () => {
  it('looks up the users who run here, and no others', async (test) => {
    const { running, disabled, say, asked, cut } = openWatch()
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
      const { disabled, say, asked, cut, watch } = openWatch()
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

  it('asks until the store answers', async (test) => {
    const { running, disabled, say, fail, cut, failures } = openWatch()
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
