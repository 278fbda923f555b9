import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openLedger } from '#metering/batcher.ts'
import { journalPathIn, openJournal, replayJournals, replaySetAside } from '#metering/journal.ts'
import { type Kept, openSetAside, setAsidePathIn, takeSetAside } from '#metering/set-aside.ts'
import { openStore } from '#storage/open.ts'
import { type Store, StoreFault } from '#storage/store.ts'
import { blockRows } from '../support/blocked-rows.ts'
import { by } from '../support/by.ts'
import { withFolder } from '../support/folder.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement, usageEvent } from './questions.ts'

/** One request, settlement, event, user or row that cannot be read or written is nothing to the others. */
for (const { name, create } of databases) {
  const withWorld = (
    run: (world: { store: Store; database: TestDatabase; folder: string; faults: string[] }) => Promise<void>,
  ) =>
    withFolder((folder) =>
      withStore(create, async (store, database) => {
        await run({ store, database, folder, faults: [] })
      }),
    )
  const openIn = (store: Store, folder: string, faults: string[]) =>
    openLedger(store.metering, () => now, {
      journal: openJournal(journalPathIn(folder, 'test')),
      setAside: openSetAside(folder, 'test', () => now),
      onFault: (id) => faults.push(id),
    })

  describe(`what cannot be booked on ${name}`, () => {
    it('fails alone among requests', () =>
      withWorld(async ({ store, database, folder, faults }) => {
        const bad = await newUser(store, 1000)
        const good = await Promise.all(Array.from({ length: 8 }, () => newUser(store, 1000)))
        await blockRows(database, { table: 'entries', on: 'insert', when: `new.user_id = '${bad.id}'` })
        const ledger = openIn(store, folder, faults)
        const asked = good.flatMap(({ accessToken }, index) => [
          ledger.admit(ask(`a${index}`, accessToken)),
          assert.rejects(ledger.admit(ask(`b${index}`, bad.accessToken)), StoreFault),
          ledger.admit(ask(`c${index}`, accessToken)),
        ])
        const outcomes = await Promise.all(asked)
        assert.equal(outcomes.filter((one) => one?.kind === 'admitted').length, 16)
        assert.deepEqual(faults.toSorted(), ['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'])
        await ledger.close()
        assert.deepEqual(await quotaOf(store, bad.id), { limit: 1000, used: 0, reserved: 0 })
        await assertInvariants(database)
      }))

    it('is set aside among settlements and events, and booked by a later start', () =>
      withWorld(async ({ store, database, folder, faults }) => {
        const [bad, good] = [await newUser(store, 1000), await newUser(store, 1000)]
        const ledger = openIn(store, folder, faults)
        for (const id of ['r1', 'r2', 'r3']) await ledger.admit(ask(id, good.accessToken))
        await ledger.admit(ask('bad', bad.accessToken))
        const unblock = await blockRows(database, {
          table: 'quotas',
          on: 'update',
          when: `new.user_id = '${bad.id}'`,
        })
        const outcomes = await Promise.all([
          ...['r1', 'bad', 'r2', 'r3'].map((id) => ledger.settle(settlement(id, { output: 7 }))),
          ledger.count(usageEvent('e1', bad.id, { output: 3 })),
          ledger.count(usageEvent('e2', good.id, { output: 3 })),
        ])
        assert.deepEqual(outcomes, ['closed', 'kept', 'closed', 'closed', 'kept', 'counted'])
        const { userId: _, ...event } = usageEvent('e3', bad.id)
        await assert.rejects(ledger.count({ ...event, accessToken: bad.accessToken }), StoreFault)
        const begin = performance.now()
        await ledger.close()
        const closingMs = performance.now() - begin
        assert.ok(closingMs < 2000, `what was set aside keeps the ledger open for ${closingMs} ms`)
        const kept = readFileSync(setAsidePathIn(folder, 'test'), 'utf8')
        assert.match(kept, /"requestId":"bad"/)
        assert.equal(kept.trim().split('\n').length, 2)
        assert.equal(kept.includes(bad.accessToken), false, 'no secret is written')
        assert.equal(faults.length, 3)

        const again = async () => {
          const left: Kept[] = []
          const aside = openSetAside(folder, 'next', () => now)
          const booked = await replaySetAside(
            await takeSetAside(folder, 'next'),
            store.metering,
            () => now,
            async (one, why) => {
              left.push(one)
              await aside.add(one, why)
            },
          )
          return [booked, left.length]
        }
        assert.deepEqual(await again(), [0, 2], 'still blocked')
        await unblock()
        assert.deepEqual(await again(), [2, 0])
        assert.deepEqual(await quotaOf(store, bad.id), { limit: 1000, used: 10, reserved: 0 })
        assert.deepEqual(await quotaOf(store, good.id), { limit: 1000, used: 24, reserved: 0 })
        assert.deepEqual(
          readdirSync(folder).filter((file) => file.endsWith('.jsonl')),
          [],
        )
        await assertInvariants(database)
      }))

    it('is set aside from the journal at the start, with every line that is no settlement', () =>
      withWorld(async ({ store, database, folder }) => {
        const [bad, good] = [await newUser(store, 1000), await newUser(store, 1000)]
        const ids = ['r1', 'r2', 'r3', 'r4']
        const asks = [ask('bad', bad.accessToken), ...ids.map((id) => ask(id, good.accessToken))]
        await store.metering.runBatch({ now, settlements: [], asks })
        const path = journalPathIn(folder, 'dead')
        const line = (id: string, output: unknown) =>
          `${JSON.stringify({ ...settlement(id), usage: { ...settlement(id).usage, output } })}\n`
        const absurd = [2 ** 53 - 1, 2 ** 53, 1e300, -1, 1.5, '9007199254740993', null, 1e12 + 1]
        appendFileSync(path, line('r1', 5))
        for (const output of absurd) appendFileSync(path, line('r4', output))
        appendFileSync(path, line('r4', 0).replace('"output":0', '"output":12345678901234567890'))
        appendFileSync(path, `${line('bad', 5)}${line('r2', 6)}{"requestId":"r3","endi`)
        await blockRows(database, { table: 'entries', on: 'update', when: `new.user_id = '${bad.id}'` })
        const aside: Kept[] = []
        const replayed = await replayJournals(
          folder,
          store.metering,
          () => now,
          async (kept) => {
            aside.push(kept)
          },
        )
        assert.deepEqual(replayed, { settlements: 3, unreadable: 10 })
        assert.equal(aside.filter((kept) => 'line' in kept).length, 10)
        assert.deepEqual(
          aside.flatMap((kept) => ('settlement' in kept ? [kept.settlement.requestId] : [])),
          ['bad'],
        )
        assert.equal(readFileSync(path, 'utf8'), '')
        assert.deepEqual(await quotaOf(store, good.id), { limit: 1000, used: 11, reserved: 200 })
        await assertInvariants(database)
      }))

    it('keeps no other entry of a dead process open, and no start from ending', async () => {
      const database = await create()
      const first = await openStore(database.settings())
      const [bad, good] = [await newUser(first, 1000), await newUser(first, 1000)]
      const asks = [0, 1, 2, 3, 4].map((index) => ask(`r${index}`, good.accessToken))
      await first.metering.runBatch({ now, settlements: [], asks: [...asks, ask('bad', bad.accessToken)] })
      await first.close()
      const unblock = await blockRows(database, {
        table: 'entries',
        on: 'update',
        when: `new.user_id = '${bad.id}'`,
      })
      const second = await openStore(database.settings({ instance: 'next' }))
      const told: string[] = []
      const sweep = () => second.metering.abandonEntries(now + 1, 15_000, (id) => told.push(id))
      assert.equal(await sweep(), 5)
      assert.deepEqual(told, ['bad'])
      assert.equal(await sweep(), 0)
      assert.deepEqual(await quotaOf(second, good.id), { limit: 1000, used: 50, reserved: 0 })
      await unblock()
      assert.equal(await sweep(), 1)
      await assertInvariants(database)
      await second.close()
      await database.remove()
    })

    it('keeps upkeep from nothing else', () =>
      withWorld(async ({ store, database }) => {
        const dayMs = 86_400_000
        const users = await Promise.all(Array.from({ length: 5 }, () => newUser(store, 1000)))
        const asks = users.map(({ accessToken }, index) => ask(`r${index}`, accessToken))
        await store.metering.runBatch({ now, settlements: [], asks })
        const settlements = users.map((_, index) => settlement(`r${index}`, { output: 1 }))
        await store.metering.runBatch({ now, settlements, asks: [] })
        await blockRows(database, {
          table: 'usage_minutes',
          on: 'delete',
          when: `old.user_id = '${users[2]?.id}'`,
        })
        const gather = () => store.upkeep.gatherUsage(now + dayMs, 500)
        assert.equal(await gather(), 4)
        await assert.rejects(gather(), StoreFault)
        assert.deepEqual(
          (await database.rows('select user_id from usage_minutes')).map((row) => row.user_id),
          [users[2]?.id],
        )
      }))

    it('is left out of lists where it cannot be read, and is nothing to the requests of others', () =>
      withWorld(async ({ store, database, folder, faults }) => {
        const [bad, good] = [await newUser(store, 1000), await newUser(store, 1000)]
        await database.change(`update users set type = 'unheard of' where id = '${bad.id}'`)
        const page = await store.users.listUsers({ limit: 10, now })
        assert.deepEqual([page.users.map(({ id }) => id), page.unreadable], [[good.id], [bad.id]])
        const ledger = openIn(store, folder, faults)
        const outcomes = await Promise.all([
          ledger.admit(ask('a', good.accessToken)),
          assert.rejects(ledger.admit(ask('b', bad.accessToken)), StoreFault),
          ledger.admit(ask('c', good.accessToken)),
        ])
        assert.deepEqual([outcomes[0].kind, outcomes[2].kind], ['admitted', 'admitted'])
        await ledger.close()
      }))
  })

  describe(`absurd figures on ${name}`, () => {
    it('in a request hold no more than a figure may say, and sums saturate', () =>
      withWorld(async ({ store, database, folder, faults }) => {
        const [free, limited] = [await newUser(store), await newUser(store, Number.MAX_SAFE_INTEGER)]
        const ledger = openIn(store, folder, faults)
        const absurd = [2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e300, Number.POSITIVE_INFINITY, Number.NaN, 1e12 + 1]
        for (const [index, output] of absurd.entries()) {
          const admitted = await ledger.admit(ask(`f${index}`, free.accessToken, { output }))
          assert.equal(admitted.kind === 'admitted' && admitted.hold, 1e12)
          const refused = await ledger.admit(ask(`l${index}`, limited.accessToken, { output }))
          assert.equal(refused.kind === 'refused' && refused.code, 'quota_exceeded')
          const dear = await ledger.admit(ask(`i${index}`, limited.accessToken, { input: output, output: 0 }))
          assert.equal(dear.kind === 'refused' && dear.code, 'quota_exceeded')
        }
        await assertInvariants(database)
        for (const [index, output] of absurd.entries())
          assert.equal(await ledger.settle(settlement(`f${index}`, { output, input: output })), 'closed')
        await ledger.count(usageEvent('e', free.id, { output: 1e12, reasoning: 2 ** 60 }))
        await ledger.close()
        assert.deepEqual(await quotaOf(store, free.id), { used: Number.MAX_SAFE_INTEGER, reserved: 0 })
        const rows = await store.usage.readUsage({
          ...{ bucket: 'hour', from: now, to: now + 1, groupBy: ['user'], limit: 9 },
        })
        assert.equal(rows[0]?.usage.output, Number.MAX_SAFE_INTEGER)
        await assertInvariants(database)
        assert.deepEqual(faults, [])
      }))

    it('in stored rows are read as the nearest that can be, and are healed by whatever is written', () =>
      withWorld(async ({ store, database, folder }) => {
        const users = await Promise.all(Array.from({ length: 6 }, () => newUser(store)))
        const [user, other] = [users[0] ?? assert.fail(), users[1] ?? assert.fail()]
        await store.metering.runBatch({
          ...{ now, settlements: [] },
          asks: users.map(({ accessToken }, index) => ask(`r${index}`, accessToken)),
        })
        const beyond = '9223372036854775807'
        const sets = [
          'update quotas set reserved = X, used = X, period_bonus = X, open_requests = 7',
          'update users set prompt_count = X',
          "update entries set hold = X, input_estimate = X where id <> 'r1'",
        ]
        for (const set of sets) await database.change(set.replaceAll('X', beyond))
        const ledger = openLedger(store.metering, () => now, {
          setAside: openSetAside(folder, 'x', () => now),
        })
        assert.equal((await store.users.listUsers({ limit: 10, now })).users.length, 6)
        assert.equal((await ledger.admit(ask('s1', other.accessToken))).kind, 'admitted')
        for (const id of ['r1', 's1'])
          assert.equal(await ledger.settle(settlement(id, { output: 3 })), 'closed')
        const [, , third, fourth, fifth, sixth] = users
        await store.users.disableUser({ id: third?.id ?? '' }, 'x', by(now))
        const reset = { ref: { id: fourth?.id ?? '' }, edit: { quotaReset: 'all' } } as const
        const put = { ref: { id: fifth?.id ?? '' }, edit: { quotaUsed: { claude: 5 }, promptCount: 1 } }
        for (const write of [reset, put])
          assert.equal((await store.users.writeUsers([write], by(now))).kind, 'written')
        await store.users.addToQuota({ id: sixth?.id ?? '' }, { family: 'claude', units: 5 }, by(now))
        assert.ok((await store.users.resetUsage({ families: 'all', limit: 10 }, by(now))).users >= 4)
        for (const [index] of users.entries())
          if (index !== 1) assert.equal(await ledger.settle(settlement(`r${index}`)), 'closed')
        await ledger.close()
        for (const { id } of users) {
          const quota = await quotaOf(store, id)
          assert.deepEqual([quota?.used, quota?.reserved], [0, 0])
        }
        const odd = await database.rows(`select * from quotas where reserved <> 0 or open_requests <> 0
          or used <> 0`)
        assert.deepEqual(odd, [])
        assert.ok(user.id)
      }))
  })
}

it('a journal and what was set aside stand beside each other in one folder', () =>
  withFolder(async (folder) => {
    const aside = openSetAside(join(folder, 'data'), 'a', () => now)
    await aside.add({ settlement: settlement('r1') }, new Error('no'))
    const path = setAsidePathIn(join(folder, 'data'), 'a')
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), {
      at: now,
      why: 'no',
      settlement: settlement('r1'),
    })
  }))
