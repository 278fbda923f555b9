import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { User } from '#core/user.ts'
import { createUserId } from '#core/user-id.ts'
import type { UserPage } from '#core/user-list.ts'
import { streamUsers, type UserStreamSource } from './stream.ts'

function userOf(index: number): User {
  const more = { promptCount: 0, createdAt: index, limits: {}, quotas: new Map(), revision: 1, addresses: [] }
  return { id: createUserId(index), accessToken: String(index), type: 'normal', ...more }
}

/** Pages of three users each, the last one shorter; tells how many were read after the first. */
function pagesOf(total: number, more: Partial<UserStreamSource> = {}) {
  const pageAt = (start: number): UserPage => {
    const users = Array.from({ length: Math.min(3, total - start) }, (_, index) => userOf(start + index))
    return start + 3 < total ? { users, next: { value: start + 3, id: 'x' } } : { users }
  }
  const reads = { count: 0 }
  const source: UserStreamSource = {
    first: pageAt(0),
    nextPage: (after) => {
      reads.count++
      return Promise.resolve(pageAt(Number(after.value)))
    },
    toText: (user) => user.accessToken,
    onFailure: () => 'open',
    ...more,
  }
  return { stream: streamUsers(source), reads }
}

describe('a streamed list', () => {
  for (const total of [0, 1, 3, 4, 6, 10]) {
    it(`is one JSON text of ${total} users`, async () => {
      const text = await new Response(pagesOf(total).stream).text()
      const users = Array.from({ length: total }, (_, index) => index)
      assert.deepEqual(JSON.parse(text), { users, count: total })
    })
  }

  it('reads a page only when it is asked for one', async () => {
    const { stream, reads } = pagesOf(100)
    const reader = stream.getReader()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(reads.count, 0)
    await reader.read()
    await reader.read()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(reads.count, 1)
    await reader.cancel()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(reads.count, 1)
  })

  it('fails where a page cannot be had, and never ends as if it were whole', async () => {
    const error = new Error('away')
    const told: unknown[] = []
    const onFailure = (cause: unknown) => {
      told.push(cause)
      return 'open' as const
    }
    const { stream } = pagesOf(10, { nextPage: () => Promise.reject(error), onFailure })
    await assert.rejects(new Response(stream).text(), error)
    assert.deepEqual(told, [error])
  })
})
