import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserEdit } from '#core/user-edit.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openStore } from '#storage/open.ts'
import { bounds } from '#storage/schema/migrations/0003-bounds.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { assertInvariants } from '../support/invariants.ts'
import { book, close, newUserId, open } from '../support/ledger.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Does it until there is no more; answers how many it was each time. */
async function untilDone(batch: () => Promise<number>): Promise<readonly number[]> {
  const counts: number[] = []
  for (;;) {
    const count = await batch()
    if (count === 0) return counts
    counts.push(count)
  }
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)

async function allUsage(store: Store) {
  const range = { bucket: 'day', from: now - 400 * dayMs, to: now + dayMs, limit: 10_000 } as const
  return [
    await store.usage.readUsage({ ...range, groupBy: ['model'] }),
    await store.usage.readUsage({ ...range, groupBy: ['user'] }),
  ]
}

const edit = (store: Store, id: string, change: UserEdit) =>
  store.users.writeUsers([{ ref: { id }, edit: change }], by(now))

for (const { name, create } of databases) {
  describe(`upkeep on ${name}`, () => {
    it('gathers the hours of many users and of a busy one, whole hours at a time', () =>
      withStore(create, async (store, database) => {
        const busy = await newUserId(store, now)
        for (let minute = 0; minute < 90; minute++)
          await book(store, { userId: busy, at: now - 3 * dayMs + minute * minuteMs, usage: { output: 1 } })
        for (let index = 0; index < 20; index++)
          await book(store, {
            userId: await newUserId(store, now),
            at: now - 2 * dayMs,
            usage: { output: 1 },
          })
        await book(store, { userId: busy, at: now, usage: { output: 1 } })
        const before = await allUsage(store)
        const counts = await untilDone(() => store.upkeep.gatherUsage(now - dayMs, 10))
        assert.equal(sum(counts), 110)
        // An hour that is more than a batch is a batch of its own.
        assert.ok(Math.max(...counts) <= 60, `${counts}`)
        assert.deepEqual(await database.rows('select minute_at from usage_minutes'), [{ minute_at: now }])
        assert.deepEqual(await allUsage(store), before)
        assert.deepEqual(await untilDone(() => store.upkeep.gatherUsage(now - dayMs, 10)), [])
      }))

    if (name === 'PostgreSQL')
      it('gathers each minute once, however many processes do so at the same time', () =>
        withStore(create, async (store, database) => {
          const others = await Promise.all(
            ['one', 'two', 'three'].map((instance) => openStore(database.settings({ instance }))),
          )
          for (let index = 0; index < 40; index++)
            await book(store, {
              userId: await newUserId(store, now),
              at: now - 2 * dayMs,
              usage: { output: 1 },
            })
          const before = await allUsage(store)
          // Nobody can ask for the lock of a user who is gone.
          await database.change('delete from users')
          const all = [store, ...others]
          const counts = await Promise.all(
            all.map(({ upkeep }) => untilDone(() => upkeep.gatherUsage(now - dayMs, 3))),
          )
          assert.equal(sum(counts.flat()), 40)
          assert.deepEqual(await allUsage(store), before)
          await Promise.all(others.map((other) => other.close()))
        }))

    it('adds to an hour that was gathered before', () =>
      withStore(create, async (store) => {
        const userId = await newUserId(store, now)
        for (const output of [3, 4, 5]) {
          await book(store, { userId, at: now - 2 * dayMs, usage: { output } })
          assert.deepEqual(await untilDone(() => store.upkeep.gatherUsage(now - 2 * dayMs, 500)), [])
          assert.deepEqual(
            await untilDone(() => store.upkeep.gatherUsage(now - 2 * dayMs + hourMs, 500)),
            [1],
          )
        }
        const question = { bucket: 'hour', from: now - 2 * dayMs, to: now, groupBy: [], userId } as const
        const [row] = await store.usage.readUsage({ ...question, limit: 9 })
        assert.deepEqual([row?.requests, row?.usage.output], [3, 12])
        assert.equal(await store.upkeep.gatherUsage(now, 500), 0)
      }))

    it('removes minutes of the totals, and leaves the hours', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now)
        for (let minute = 0; minute < 25; minute++)
          await book(store, { userId, at: now - dayMs + minute * minuteMs })
        const before = await allUsage(store)
        const counts = await untilDone(() => store.upkeep.purgeMinutes(now - dayMs + 20 * minuteMs, 8))
        assert.deepEqual(counts, [8, 8, 4])
        assert.equal((await database.rows('select * from total_minutes')).length, 5)
        assert.deepEqual(await allUsage(store), before)
      }))

    it('removes old entries in batches, but none that is open, no adjustment, and nothing from what was used', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now - 100 * dayMs, { quotaUsed: { claude: 100 } })
        for (let index = 0; index < 23; index++)
          await book(store, { userId, at: now - 95 * dayMs + index, usage: { output: 2 } })
        const running = await open(store, { userId, at: now - 95 * dayMs })
        const recent = await book(store, { userId, at: now - dayMs, usage: { output: 2 } })
        const [usage, user] = [await allUsage(store), await store.users.findUser({ id: userId }, now)]
        const counts = await untilDone(() => store.upkeep.purgeEntries(now - 90 * dayMs, 10))
        assert.deepEqual(counts, [10, 10, 3])
        const left = await database.rows("select id from entries where id not like 'adj_%' order by id")
        assert.deepEqual(
          left.map(({ id }) => id),
          [running, recent],
        )
        assert.equal((await database.rows("select id from entries where id like 'adj_%'")).length, 1)
        assert.deepEqual(await allUsage(store), usage)
        assert.deepEqual(await store.users.findUser({ id: userId }, now), user)
        assert.equal(user?.quotas.get('claude')?.used, 148)
        // It is booked as ever, and removed by a later pass.
        await close(store, running, { userId, at: now, usage: { output: 5 } })
        assert.equal((await store.users.findUser({ id: userId }, now))?.quotas.get('claude')?.used, 153)
        assert.equal(await store.upkeep.purgeEntries(now - 90 * dayMs, 10), 1)
      }))

    it('removes entries that others reserved and reported, and which events were counted', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now)
        const old = now - 95 * dayMs
        const event = (eventId: string, at: number) => ({
          ...{ eventId, requestId: createSortableId('evt_', at), userId, route: '/x', family: 'claude' },
          ...{ model: 'claude-x', isEstimated: false, status: 200, happenedAt: at },
          usage: { input: 1, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0 },
        })
        const report = async (eventId: string, at: number) =>
          (
            await store.metering.runBatch({
              now: at,
              settlements: [],
              events: [event(eventId, at)],
              asks: [],
            })
          ).events[0]
        assert.equal(await report('one', old), 'counted')
        assert.equal(await report('two', now), 'counted')
        const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
        const requestId = createSortableId('res_', old)
        const ask = { requestId, userId, address: undefined, route: '/x', isMetered: true, units }
        await store.metering.runBatch({ now: old, settlements: [], asks: [ask] })
        await close(store, requestId, { userId, at: old })
        assert.deepEqual(await untilDone(() => store.upkeep.purgeEntries(now - 90 * dayMs, 10)), [2])
        assert.deepEqual(await untilDone(() => store.upkeep.purgeEvents(now - 90 * dayMs, 10)), [1])
        assert.equal((await database.rows('select id from usage_events')).length, 1)
        assert.equal(await report('two', now), 'repeated')
        assert.equal(await report('one', now), 'counted')
      }))

    it('removes temporary users some time after they expired, and keeps what they used', () =>
      withStore(create, async (store, database) => {
        const temporary = (expiresAt: number) => ({ type: 'temporary' as const, expiresAt })
        const born = now - 40 * dayMs
        const old: string[] = []
        for (let index = 0; index < 7; index++)
          old.push(await newUserId(store, born, temporary(now - 31 * dayMs - index)))
        const [first = '', busy = '', saved = ''] = old
        const recent = await newUserId(store, born, temporary(now - 29 * dayMs))
        const normal = await newUserId(store, born, { expiresAt: now - 35 * dayMs })
        for (const userId of old) await book(store, { userId, at: born, usage: { output: 3 } })
        const running = await open(store, { userId: busy, at: born })
        const usage = await allUsage(store)
        const before = now - 30 * dayMs
        // What is found and changed before its turn stays.
        assert.equal(await store.upkeep.purgeUsers(before, 1, by(now)), 1)
        await edit(store, saved, { expiresAt: now + dayMs })
        assert.equal(sum(await untilDone(() => store.upkeep.purgeUsers(before, 2, by(now)))), 4)
        const left = (await database.rows('select id from users')).map(({ id }) => String(id)).toSorted()
        assert.deepEqual(left, [busy, saved, recent, normal].toSorted())
        for (const table of ['quotas', 'addresses']) {
          const owners = await database.rows(`select distinct user_id from ${table}`)
          assert.ok(
            owners.every(({ user_id }) => left.includes(String(user_id))),
            table,
          )
        }
        assert.deepEqual(await allUsage(store), usage)
        assert.ok(JSON.stringify(usage).includes(first))
        await close(store, running, { userId: busy, at: now })
        assert.deepEqual(await untilDone(() => store.upkeep.purgeUsers(before, 2, by(now))), [1])
        await assertInvariants(database)
      }))

    describe('the removal counts from the edit that set the expiry, where that came after it', () => {
      const monthMs = 30 * dayMs
      const longAgo = now - 400 * dayMs
      const temporary = { type: 'temporary', expiresAt: longAgo } as const
      /** How many are removed by a pass at an instant, with a month between expiry and removal. */
      const removedAt = async (store: Store, at: number) =>
        sum(await untilDone(() => store.upkeep.purgeUsers(at - monthMs, 10, by(now))))

      it('for users who had expired when they were brought in', () =>
        withStore(create, async (store) => {
          const writes = Array.from({ length: 25 }, (_, index) => ({
            ref: { accessToken: `import-${index}` },
            edit: temporary,
          }))
          await store.users.writeUsers(writes, by(now))
          assert.equal(await removedAt(store, now + minuteMs), 0)
          assert.equal(await removedAt(store, now + monthMs), 0)
          assert.equal(await removedAt(store, now + monthMs + 1), 25)
        }))

      it('for a user who is made temporary with an expiry of long ago', () =>
        withStore(create, async (store) => {
          const id = await newUserId(store, longAgo, { expiresAt: longAgo })
          assert.equal(await removedAt(store, now), 0)
          await edit(store, id, { type: 'temporary' })
          assert.equal(await removedAt(store, now + monthMs), 0)
          // Neither of these sets the expiry.
          await store.users.writeUsers(
            [{ ref: { id }, edit: { type: 'temporary', nickname: 'n' } }],
            by(now + dayMs),
          )
          await store.users.disableUser({ id }, 'off', by(now + dayMs))
          assert.equal(await removedAt(store, now + monthMs + 1), 1)
        }))

      it('also where the expiry is stated as it was, and while it is about to be removed', () =>
        withStore(create, async (store) => {
          const ids: string[] = []
          for (const _ of [1, 2]) ids.push(await newUserId(store, longAgo, temporary))
          const [first = '', second = ''] = ids
          assert.equal(await store.upkeep.purgeUsers(now - monthMs, 1, by(now)), 1)
          const left = (await store.users.findUser({ id: first }, now)) ? first : second
          await edit(store, left, { expiresAt: longAgo })
          assert.equal(await removedAt(store, now), 0)
          assert.equal(await removedAt(store, now + monthMs + 1), 1)
        }))

      it('and from the migration, for users who had expired by then', () =>
        withStore(create, async (store, database) => {
          for (const expiresAt of [longAgo, now - 1, now + dayMs])
            await newUserId(store, longAgo, { type: 'temporary', expiresAt })
          await database.change('update users set expiry_set_at = null')
          await database.change(`update migrations set applied_at = ${now} where number = 3`)
          const step = bounds.statements.find((text) => text.includes('set expiry_set_at'))
          await database.change(step ?? assert.fail('the migration sets it'))
          const written = await database.rows('select expiry_set_at from users order by expires_at')
          assert.deepEqual(
            written.map(({ expiry_set_at: at }) => at && Number(at)),
            [now, now, null],
          )
          assert.equal(await removedAt(store, now + monthMs), 0)
          assert.equal(await removedAt(store, now + monthMs + 1), 2)
          assert.equal(await removedAt(store, now + monthMs + dayMs + 1), 1)
        }))

      it('and from the expiry, where an earlier version wrote one that was to come', () =>
        withStore(create, async (store, database) => {
          for (const _ of [1, 2, 3])
            await newUserId(store, longAgo, { type: 'temporary', expiresAt: now - monthMs })
          await database.change('update users set expiry_set_at = null')
          assert.equal(await removedAt(store, now), 0)
          assert.equal(await removedAt(store, now + 1), 3)
        }))

      it('and from the expiry, where that comes later', () =>
        withStore(create, async (store) => {
          await newUserId(store, longAgo, { type: 'temporary', expiresAt: now })
          assert.equal(await removedAt(store, now + monthMs), 0)
          assert.equal(await removedAt(store, now + monthMs + 1), 1)
        }))
    })

    it('books what ends after its user was removed', () =>
      withStore(create, async (store) => {
        const userId = await newUserId(store, now - 40 * dayMs, {
          type: 'temporary',
          expiresAt: now - 35 * dayMs,
        })
        const requestId = await book(store, { userId, at: now - 36 * dayMs, ending: 'abandoned', status: 0 })
        assert.equal(await store.upkeep.purgeUsers(now - 30 * dayMs, 9, by(now)), 1)
        await close(store, requestId, { userId, at: now, usage: { output: 9 } })
        const [byModel] = await allUsage(store)
        assert.equal(
          byModel?.reduce((total, { usage }) => total + usage.output, 0),
          9,
        )
      }))

    it('removes addresses that a window has left behind, and writes them again when they come back', () =>
      withStore(
        create,
        async (store, database) => {
          const [byDefault, own, never] = [
            await newUserId(store, now),
            await newUserId(store, now, { limits: { ipWindowDays: 1 } }),
            await newUserId(store, now, { limits: { ipWindowDays: -1 } }),
          ]
          for (const userId of [byDefault, own, never]) {
            await book(store, { userId, at: now - 31 * dayMs, address: '192.0.2.1' })
            await book(store, { userId, at: now - 2 * dayMs, address: '192.0.2.2' })
            await book(store, { userId, at: now - 1000, address: '192.0.2.3' })
          }
          const addressesOf = async (id: string) => (await store.users.findUser({ id }, now))?.addresses
          const counts = await untilDone(() => store.upkeep.purgeAddresses(now, 2))
          assert.deepEqual(counts, [2, 1])
          assert.deepEqual(await addressesOf(byDefault), ['192.0.2.2', '192.0.2.3'])
          assert.deepEqual(await addressesOf(own), ['192.0.2.3'])
          assert.deepEqual(await addressesOf(never), ['192.0.2.1', '192.0.2.2', '192.0.2.3'])
          // At the very instant at which the memory would say that it was written a moment ago.
          await book(store, { userId: own, at: now - 2 * dayMs + 1, address: '192.0.2.2' })
          assert.equal((await addressesOf(own))?.includes('192.0.2.2'), true)
          assert.equal((await database.rows('select * from addresses')).length, 7)
        },
        { policy: { ...testPolicy, defaults: { ipWindowDays: 30 } } },
      ))

    it('keeps nobody waiting for more than one batch', () =>
      withStore(create, async (store) => {
        const userId = await newUserId(store, now)
        for (let index = 0; index < 60; index++) await book(store, { userId, at: now - 95 * dayMs + index })
        let batches = 0
        const purging = untilDone(async () => {
          const count = await store.upkeep.purgeEntries(now - 90 * dayMs, 1)
          batches++
          return count
        })
        const waited: number[] = []
        while (batches < 50) {
          const before = batches
          await book(store, { userId, at: now })
          waited.push(batches - before)
        }
        await purging
        // Where one writes at a time: a booking is two turns, and each may find one batch before it in the lane.
        assert.ok(name !== 'SQLite' || Math.max(...waited) <= 3, `${waited}`)
      }))
  })

  for (const timeZone of ['UTC', 'Asia/Kolkata']) {
    describe(`counting anew on ${name} (${timeZone})`, () => {
      it('is exact whether minutes were gathered, some of them or none', () =>
        withStore(
          create,
          async (store, database) => {
            const userId = await newUserId(store, now - 3 * dayMs)
            // Days begin at 18:30 in Kolkata: on both sides of it, of the hour before and of the one after.
            const times = ['17:59', '18:00', '18:29', '18:30', '18:59', '19:00', '23:59', '00:00', '00:01']
            let units = 1
            for (const day of ['2026-11-20', '2026-11-21', '2026-11-22']) {
              for (const time of times) {
                const at = Date.parse(`${day}T${time}:30Z`)
                if (at > now) continue
                await book(store, { userId, at: at - 20_000, endAt: at, usage: { output: units } })
                units *= 2
              }
            }
            const expected = async () => {
              const startOfDay = Date.parse(
                timeZone === 'UTC' ? '2026-11-22T00:00:00Z' : '2026-11-21T18:30:00Z',
              )
              const [row] = await database.rows(
                `select sum(units) as units from entries where ended_at >= ${startOfDay}`,
              )
              return row?.units
            }
            const recounted = async () => {
              await edit(store, userId, { limits: { period: 'daily' } })
              const daily = (await store.users.findUser({ id: userId }, now))?.quotas.get('claude')?.used
              await assertInvariants(database)
              await edit(store, userId, { limits: { period: null } })
              const total = (await store.users.findUser({ id: userId }, now))?.quotas.get('claude')?.used
              assert.equal(total, units - 1)
              return daily
            }
            assert.equal(await recounted(), await expected())
            for (const before of ['2026-11-21T18:00:00Z', '2026-11-21T19:00:00Z', '2026-11-22T12:00:00Z']) {
              await untilDone(() => store.upkeep.gatherUsage(Date.parse(before), 1))
              assert.equal(await recounted(), await expected(), before)
            }
          },
          { policy: { ...testPolicy, timeZone } },
        ))
    })
  }
}
