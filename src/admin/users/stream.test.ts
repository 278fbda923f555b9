import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserTexts } from '#core/user-list.ts'
import { streamUsers, type UserStreamSource } from './stream.ts'

/** Pages of three users each, the last one shorter; tells how many were read after the first. */
function pagesOf(total: number, more: Partial<UserStreamSource> = {}) {
  const pageAt = (start: number): UserTexts => {
    const users = Array.from({ length: Math.min(3, total - start) }, (_, index) => start + index)
    const page = { text: Buffer.from(users.map((user) => `,${user}`).join('')), count: users.length }
    return start + 3 < total ? { ...page, next: { value: start + 3, id: 'x' } } : page
  }
  const reads = { count: 0 }
  const source: UserStreamSource = {
    first: pageAt(0),
    nextPage: (read, after) => {
      assert.equal(read, after.value)
      reads.count++
      return Promise.resolve(pageAt(Number(after.value)))
    },
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
