import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { type Cut, startCut } from '../support/cut.ts'
import { createTestDatabase } from '../support/test-databases.ts'

/** What is said in here holds for what a test of a failing network relies on. */
async function withCut(
  run: (
    cut: Cut,
    open: () => pg.Client,
    query: (text: string) => Promise<readonly unknown[]>,
  ) => Promise<void>,
): Promise<void> {
  const { url, query, drop } = await createTestDatabase()
  const cut = await startCut(Number(new URL(url).port))
  const clients: pg.Client[] = []
  const open = () => {
    const client = new pg.Client({ connectionString: cut.through(url) })
    client.on('error', () => {})
    clients.push(client)
    return client
  }
  try {
    await query('create table kept (a bigint)')
    await run(cut, open, query)
  } finally {
    await cut.close()
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)))
    await drop()
  }
}

async function isSettled(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  return Promise.race([settled, wait(ms, false)])
}

describe('a network that fails', () => {
  it('passes on what is large, both ways', () =>
    withCut(async (_, open) => {
      const client = open()
      await client.connect()
      const large = 'x'.repeat(5_000_000)
      const { rows } = await client.query<{ back: string }>('select $1::text as back', [large])
      assert.equal(rows[0]?.back, large)
    }))

  it('resets what is open and refuses what is new, until it is healed', () =>
    withCut(async (cut, open, query) => {
      const client = open()
      await client.connect()
      await client.query('begin')
      await client.query('insert into kept values (1)')
      await cut.cut('reset')
      await assert.rejects(client.query('commit'))
      await assert.rejects(open().connect(), { code: 'ECONNREFUSED' })
      await cut.heal()
      const next = open()
      await next.connect()
      await next.query('insert into kept values (2)')
      assert.deepEqual(await query('select a from kept'), [{ a: 2 }])
    }))

  it('swallows everything silently, and delivers it late', () =>
    withCut(async (cut, open, query) => {
      const client = open()
      await client.connect()
      await cut.cut('silent')
      const inserted = client.query('insert into kept values (1)')
      const next = open()
      const connected = next.connect()
      assert.equal(await isSettled(Promise.race([inserted, connected]), 300), false)
      assert.deepEqual(await query('select a from kept'), [])
      await cut.heal()
      await Promise.all([inserted, connected])
      assert.deepEqual(await query('select a from kept'), [{ a: 1 }])
    }))

  it('loses the answer to a commit that was made', () =>
    withCut(async (cut, open, query) => {
      const client = open()
      await client.connect()
      await client.query('begin')
      await client.query('insert into kept values (1)')
      const heard = cut.cutAfter('commit')
      const committed = client.query('commit')
      await heard
      assert.equal(await isSettled(committed, 300), false)
      assert.deepEqual(await query('select a from kept'), [{ a: 1 }])
      const failed = assert.rejects(committed)
      await cut.cut('reset')
      await failed
    }))
})
