import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { assertInvariants } from '../support/invariants.ts'
import { databases } from '../support/stores.ts'
import { openVerifierHarness, otherVerifierKey, type VerifierHarness } from '../support/verifier-harness.ts'

let harness: VerifierHarness
for (const database of databases) {
  describe(`usage events over HTTP on ${database.name}`, () => {
    before(async () => {
      harness = await openVerifierHarness(database)
    })
    after(() => harness.close())

    const report = (body: unknown, headers: Record<string, string> = {}) =>
      harness.post('/usage', body, headers)

    async function usedBy(user: { readonly id: string }): Promise<number> {
      return (await harness.userOf(user)).quotas.get('gpt4')?.used ?? 0
    }

    /** Ids that no other test uses. */
    let made = 0
    const newId = () => {
      made += 1
      return `event-${made}`
    }

    const plain = (userId: string, more: object = {}) => ({
      id: newId(),
      userId,
      model: 'gpt-4o',
      units: 10,
      ...more,
    })

    const cloudEvent = (userId: string, more: object = {}) => ({
      specversion: '1.0',
      id: newId(),
      source: '/gateways/one',
      type: 'com.example.llm.used',
      data: { userId, model: 'gpt-4o', units: 10 },
      ...more,
    })

    describe('POST /usage', () => {
      it('counts an event once, by access token or by id, beyond a limit too', async () => {
        const user = await harness.createUser({ quotaLimits: { gpt4: 15 } })
        const usage = { input: 5, cacheRead: 2, output: 3 }
        const event = { id: newId(), token: user.accessToken, model: 'gpt-4o', usage, upstream: 'elsewhere' }
        const first = await report(event)
        assert.equal(first.status, 200)
        assert.deepEqual(first.json, {
          counted: 1,
          repeated: 0,
          unknown: 0,
          results: [{ id: event.id, outcome: 'counted' }],
        })
        assert.deepEqual((await report(event)).json.results, [{ id: event.id, outcome: 'repeated' }])
        assert.equal(await usedBy(user), 10)
        await report(plain(user.id))
        assert.equal(await usedBy(user), 20, 'what has happened is booked')
        const rows = await harness.database.rows(
          `select route, family, model, units, upstream, state from entries where user_id = '${user.id}' order by upstream is null`,
        )
        const common = { route: '/usage', family: 'gpt4', model: 'gpt-4o', units: 10, state: 'settled' }
        assert.deepEqual(
          rows.map((row) => ({ ...row })),
          [
            { ...common, upstream: 'elsewhere' },
            { ...common, upstream: null },
          ],
        )
        await assertInvariants(harness.database)
      })

      it('fifty times at once: once', async () => {
        const user = await harness.createUser()
        const event = plain(user.id)
        const said = await Promise.all(Array.from({ length: 50 }, () => report(event)))
        const outcomes = said.map(({ json }) => json.results[0].outcome)
        assert.equal(outcomes.filter((outcome) => outcome === 'counted').length, 1)
        assert.equal(outcomes.filter((outcome) => outcome === 'repeated').length, 49)
        assert.equal(await usedBy(user), 10)
        const list = Array.from({ length: 50 }, () => event)
        assert.deepEqual((await report(list)).json.repeated, 50)
      })

      it('takes a thousand in one body, and each by itself', async () => {
        const user = await harness.createUser()
        const events = Array.from({ length: 1000 }, () => plain(user.id, { units: 1 }))
        const said = await report([...events.slice(0, 998), events[0], plain(`usr_${'0'.repeat(24)}`)])
        assert.equal(said.status, 200)
        const { counted, repeated, unknown, results } = said.json
        assert.deepEqual([counted, repeated, unknown], [998, 1, 1])
        assert.equal(results.length, 1000)
        assert.deepEqual([results[998].outcome, results[999].outcome], ['repeated', 'unknown_user'])
        assert.equal(await usedBy(user), 998)
        const many = await report([...events, events[0]])
        assert.deepEqual([many.status, many.json.code], [413, 'body_too_large'])
        assert.deepEqual((await report([])).json, { counted: 0, repeated: 0, unknown: 0, results: [] })
      })

      it('names an event by whose it is, its source and its id', async () => {
        const user = await harness.createUser()
        const event = plain(user.id, { source: 'a' })
        assert.equal((await report(event)).json.counted, 1)
        assert.equal((await report({ ...event, source: 'b' })).json.counted, 1)
        assert.equal((await report({ ...event, source: undefined })).json.counted, 1)
        assert.equal(
          (await report(event, { authorization: `Bearer ${otherVerifierKey}` })).json.counted,
          1,
          "another gateway's event only has the same id",
        )
        assert.equal((await report({ ...event, units: 99 })).json.repeated, 1)
        assert.equal(await usedBy(user), 40)
      })

      it('takes the time as a number or as text, and tells the milliseconds of one in seconds', async () => {
        const user = await harness.createUser()
        for (const happenedAt of [1_700_000_000_000, '2023-11-14T22:13:20Z', '2023-11-14T23:13:20.000+01:00'])
          assert.equal((await report(plain(user.id, { happenedAt }))).json.counted, 1)
        const said = await report(plain(user.id, { happenedAt: 1_700_000_000 }))
        assert.equal(said.status, 400)
        assert.match(said.json.issues[0].message, /seconds.*send 1700000000000$/)
        assert.equal(await usedBy(user), 30)
      })

      it('is 404 for one event of nobody', async () => {
        for (const who of [{ userId: `usr_${'0'.repeat(24)}` }, { userId: undefined, token: 'nobody' }]) {
          const said = await report(plain('', who))
          assert.deepEqual([said.status, said.json.code], [404, 'not_found'])
        }
      })

      it('looks at everything before it counts anything, and says what is wrong where', async () => {
        const user = await harness.createUser()
        const wrong: readonly (readonly [object, string])[] = [
          [{ id: undefined }, 'id'],
          [{ id: '' }, 'id'],
          [{ id: 'a\nb' }, 'id'],
          [{ userId: undefined }, 'token'],
          [{ token: 'x' }, 'token'],
          [{ model: undefined }, 'model'],
          [{ model: 'llama' }, 'model'],
          [{ family: 'gpt5' }, 'family'],
          [{ units: undefined }, 'usage'],
          [{ units: undefined, usage: { total_tokens: 7 } }, 'usage.total_tokens'],
          [{ units: 2 ** 53 - 1 }, 'units'],
          [{ units: undefined, usage: { output: 1e12 + 1 } }, 'usage.output'],
          [{ happenedAt: 'yesterday' }, 'happenedAt'],
          [{ happenedAt: '2025-12-31' }, 'happenedAt'],
          [{ happenedAt: 1_767_225_600 }, 'happenedAt'],
          [{ happenedAt: 2 ** 53 - 1 }, 'happenedAt'],
        ]
        for (const [change, path] of wrong) {
          const alone = await report(plain(user.id, change))
          assert.deepEqual([alone.status, alone.json.issues[0].path], [400, path], JSON.stringify(change))
          const among = await report([plain(user.id), plain(user.id, change)])
          assert.deepEqual([among.status, among.json.issues[0].path], [400, `[1].${path}`])
        }
        assert.equal(await usedBy(user), 0)
      })
    })

    describe('POST /usage with CloudEvents 1.0', () => {
      const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }
      const batch = { 'content-type': 'application/cloudevents-batch+json' }

      it('takes one in structured mode, and the same one in binary mode as a repeat', async () => {
        const user = await harness.createUser()
        const event = cloudEvent(user.id, { time: '2025-12-31T23:59:59.5+01:00', myextension: 'x' })
        const said = await report(event, structured)
        assert.deepEqual([said.status, said.json.counted], [200, 1], said.text)
        const binary = {
          'ce-specversion': '1.0',
          'ce-id': event.id,
          'ce-source': '%2Fgateways%2Fone',
          'ce-type': event.type,
          'ce-time': '2025-12-31T23:59:59.5+01:00',
        }
        assert.equal((await report(event.data, binary)).json.repeated, 1)
        assert.equal((await report(event.data, { ...binary, 'ce-id': newId() })).json.counted, 1)
        assert.equal(await usedBy(user), 20)
      })

      it('takes a batch', async () => {
        const user = await harness.createUser()
        const events = [cloudEvent(user.id), cloudEvent(user.id)]
        assert.equal((await report([...events, events[0]], batch)).json.counted, 2)
        assert.equal((await report(events, batch)).json.repeated, 2)
        assert.equal(await usedBy(user), 20)
      })

      it('may name the user by its subject', async () => {
        const user = await harness.createUser()
        const data = { model: 'gpt-4o', units: 10 }
        assert.equal((await report(cloudEvent('', { subject: user.id, data }), structured)).json.counted, 1)
        const other = cloudEvent(user.id, { subject: `usr_${'0'.repeat(24)}` })
        assert.equal((await report(other, structured)).json.counted, 1, 'the data says it better')
        const named = await report(cloudEvent('', { subject: user.accessToken, data }), structured)
        assert.deepEqual(
          [named.status, named.json.issues[0].path],
          [400, 'data.token'],
          'never by access token',
        )
        assert.equal(await usedBy(user), 20)
      })

      it('refuses what is none', async () => {
        const user = await harness.createUser()
        const wrong: readonly (readonly [object, string])[] = [
          [{ specversion: '0.3' }, 'specversion'],
          [{ specversion: undefined }, 'specversion'],
          [{ id: undefined }, 'id'],
          [{ source: undefined }, 'source'],
          [{ source: '' }, 'source'],
          [{ type: undefined }, 'type'],
          [{ time: 'yesterday' }, 'time'],
          [{ time: '0001-01-01T00:00:00Z' }, 'time'],
          [{ time: 1_767_225_600_000 }, 'time'],
          [{ data: undefined }, 'data'],
          [{ data: undefined, data_base64: 'e30=' }, 'data'],
          [{ data: { userId: user.id, model: 'llama', units: 1 } }, 'data.model'],
          [{ data: { userId: user.id, model: 'gpt-4o' } }, 'data.usage'],
        ]
        for (const [change, path] of wrong) {
          const said = await report(cloudEvent(user.id, change), structured)
          assert.deepEqual([said.status, said.json.issues[0].path], [400, path], JSON.stringify(change))
        }
        assert.equal((await report([cloudEvent(user.id)], structured)).status, 400, 'one is no list')
        assert.equal((await report(cloudEvent(user.id), batch)).status, 400, 'a list is not one')
        assert.equal(await usedBy(user), 0)
      })
    })
  })
}
