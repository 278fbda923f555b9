import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BookedRequest, RequestFilter } from '#core/booked-request.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import type { RequestStore, Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { book, createRandom, newUserId, open } from '../support/ledger.ts'
import { databases, withStore } from '../support/stores.ts'

const startAt = Date.parse('2026-11-22T12:00:00Z')

/** All pages of a list, each asked for with what the one before said. */
async function walk(
  store: RequestStore,
  filter: RequestFilter,
  limit: number,
  onPage?: () => Promise<unknown>,
): Promise<BookedRequest[]> {
  const all: BookedRequest[] = []
  let after: string | undefined
  for (let pages = 0; pages < 1000; pages++) {
    const page = await store.listRequests({ filter, limit, ...(after !== undefined && { after }) })
    assert.ok(page.requests.length <= limit)
    all.push(...page.requests)
    if (page.next === undefined) return all
    assert.ok(after === undefined || page.next < after, `${page.next} after ${after}`)
    after = page.next
    await onPage?.()
  }
  return assert.fail('the list has no end')
}

/** A history of three users with every kind of entry; answers the ids, newest first. */
async function makeHistory(
  store: Store,
): Promise<{ users: string[]; entries: Map<string, RequestFilter & { at: number }> }> {
  const random = createRandom(7)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] ?? assert.fail()
  const users = await Promise.all([1, 2, 3].map(() => newUserId(store, startAt)))
  const entries = new Map<string, RequestFilter & { at: number }>()
  for (let number = 0; number < 120; number++) {
    const at = startAt + Math.floor(random() * 3_600_000)
    const booking = {
      ...{
        userId: pick(users),
        at,
        family: pick(['claude', 'turbo']),
        model: pick(['claude-x', 'gpt-mini']),
      },
      ...{ status: pick([0, 200, 429]), upstream: pick(['first', 'second']), usage: { output: number } },
    }
    const state = pick(['open', 'settled', 'settled', 'released', 'abandoned'] as const)
    const { userId, family, model } = booking
    if (state === 'open') entries.set(await open(store, booking), { at, userId, family, model, state })
    else entries.set(await book(store, { ...booking, ending: state }), { ...booking, state })
  }
  for (let number = 0; number < 20; number++) {
    const at = startAt + Math.floor(random() * 3_600_000)
    const about = { userId: pick(users), family: 'claude', model: 'claude-x', upstream: 'other', status: 200 }
    const requestId = `${sortableIdFrom('evt_', at)}${String(number).padStart(14, '0')}`
    const usage = { input: 1, cacheRead: 0, cacheWritten: 0, output: 1, reasoning: 0 }
    const event = { ...about, eventId: `e${number}`, requestId, usage, route: '/usage', isEstimated: false }
    await store.metering.runBatch({ now: at, settlements: [], events: [event], asks: [] })
    entries.set(requestId, { ...about, at, state: 'settled' })
  }
  return { users, entries }
}

for (const database of databases) {
  describe(`single requests on ${database.name}`, () => {
    const gatherAll = (store: Store) => store.upkeep.gatherRequests(startAt + 2 * 3_600_000, 500)
    const gatherSome = (store: Store) => store.upkeep.gatherRequests(startAt + 2 * 3_600_000, 2)
    const whens: readonly { name: string; first?: typeof gatherAll; between?: typeof gatherSome }[] = [
      { name: 'before any is gathered' },
      { name: 'when some are gathered', first: gatherSome },
      { name: 'when all are gathered', first: gatherAll },
      { name: 'while they are gathered', between: gatherSome },
    ]
    for (const { name, first, between } of whens)
      it(`are found by every filter, each once, newest first, however long a page is, ${name}`, () =>
        withStore(database.create, async (store, { change }) => {
          const { users, entries } = await makeHistory(store)
          await first?.(store)
          const [userId = ''] = users
          const middle = startAt + 1_800_000
          const filters: RequestFilter[] = [
            {},
            { userId },
            { userId: 'usr_of_nobody' },
            ...(['open', 'settled', 'released', 'abandoned'] as const).flatMap((state) => [
              { state },
              { state, userId },
              { state, userId, model: 'claude-x' },
            ]),
            ...[
              { status: 429 },
              { status: 0 },
              { model: 'gpt-mini' },
              { family: 'turbo' },
              { upstream: 'other' },
            ],
            { userId, status: 200, model: 'claude-x' },
            { from: middle },
            { to: middle },
            { from: middle - 60_000, to: middle + 600_000, userId },
          ]
          for (const filter of filters) {
            const { from = 0, to = Number.POSITIVE_INFINITY, ...equal } = filter
            const expected = [...entries]
              .filter(
                ([, entry]) =>
                  entry.at >= from &&
                  entry.at < to &&
                  Object.entries(equal).every(([name, value]) => Reflect.get(entry, name) === value),
              )
              .map(([id]) => id)
              .toSorted((a, b) => (a.slice(4) < b.slice(4) ? 1 : -1))
            for (const limit of [1, 7, 500]) {
              if (between) {
                await change("update facts set value = '' where name = 'user_requests_below'")
                await change('delete from user_requests')
              }
              const found = await walk(store.requests, filter, limit, between && (() => between(store)))
              assert.deepEqual(
                found.map(({ id }) => id),
                expected,
                JSON.stringify({ filter, limit }),
              )
            }
          }
        }))

    it('tell what the ledger knows, and no adjustment', () =>
      withStore(database.create, async (store, { rows }) => {
        const userId = await newUserId(store, startAt)
        await store.users.writeUsers(
          [{ ref: { id: userId }, edit: { quotaUsed: { claude: 9 } } }],
          by(startAt),
        )
        const usage = { input: 1, cacheRead: 2, cacheWritten: 3, output: 4, reasoning: 5 }
        const settled = { userId, at: startAt, usage, upstream: 'first', isEstimated: true }
        const id = await book(store, settled)
        const later = await open(store, { userId, at: startAt + 1 })
        const [running, booked, ...others] = await walk(store.requests, { userId }, 10)
        assert.deepEqual(others, [])
        const about = {
          userId,
          route: '/v1/messages',
          family: 'claude',
          model: 'claude-x',
          address: '192.0.2.1',
        }
        assert.deepEqual(booked, {
          ...{ ...about, id, startedAt: startAt, endedAt: startAt, state: 'settled', isEstimated: true },
          ...{ hold: 2, usage, units: 15, status: 200, upstream: 'first', durationMs: 1 },
        })
        const nothing = { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0 }
        assert.deepEqual(running, {
          ...{ ...about, id: later, startedAt: startAt + 1, state: 'open', isEstimated: false },
          ...{ hold: 2, usage: nothing, units: 0 },
        })
        assert.deepEqual(await store.requests.findRequest(id), booked)
        assert.equal(await store.requests.findRequest(`req_${'0'.repeat(24)}`), undefined)
        const [adjustment] = await rows("select id from entries where kind = 'adjustment'")
        assert.equal(await store.requests.findRequest(String(adjustment?.id)), undefined)
      }))

    it('looks at a bounded number of entries for a page, and goes on from there', () =>
      withStore(database.create, async (store, { change }) => {
        const userId = await newUserId(store, startAt)
        const first = await book(store, { userId, at: startAt - 1000, model: 'rare' })
        const prefix = sortableIdFrom('req_', startAt)
        await change(`insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, instance, started_at)
          with recursive numbers (n) as (select 100001 union all select n + 1 from numbers where n < 145000)
          select '${prefix}00000000' || n, '${userId}', 'metered', '/v1/messages', 'claude', 'usual', 'settled', 0, 0, '', ${startAt} from numbers`)
        for (const filter of [{ model: 'rare' }, { model: 'rare', userId }]) {
          const page = await store.requests.listRequests({ filter, limit: 5 })
          assert.deepEqual(page, { requests: [], next: page.next })
          assert.equal(page.next, `${prefix.slice(4)}00000000125001`, 'after 20,000 of them')
          assert.deepEqual(
            (await walk(store.requests, filter, 5)).map(({ id }) => id),
            [first],
          )
        }
      }))
  })
}
