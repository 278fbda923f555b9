import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { StoreUnavailable } from '#storage/store.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases } from '../support/stores.ts'
import { openVerifierHarness, type Said, type VerifierHarness } from '../support/verifier-harness.ts'

let harness: VerifierHarness
for (const database of databases) {
  describe(`reservations over HTTP on ${database.name}`, () => {
    before(async () => {
      harness = await openVerifierHarness(database)
    })
    after(() => harness.close())

    const reservations = '/usage/reservations'
    const reserve = (body: object) => harness.post(reservations, { model: 'gpt-4o', ...body })
    const end = (id: string, how: 'settle' | 'release' | 'renew', body: unknown = '') =>
      harness.post(`${reservations}/${id}/${how}`, body)

    async function reserved(body: object): Promise<string> {
      const said = await reserve(body)
      assert.equal(said.status, 201, said.text)
      return said.json.id
    }

    async function quotaOf(user: { readonly id: string }) {
      const quota = (await harness.userOf(user)).quotas.get('gpt4')
      return { used: quota?.used ?? 0, reserved: quota?.reserved ?? 0, open: quota?.openRequests ?? 0 }
    }

    describe('a reservation', () => {
      it('holds what was asked for, and becomes what was used', async () => {
        const user = await harness.createUser({ nickname: 'Ann', quotaLimits: { gpt4: 1000 } })
        const said = await reserve({ token: user.accessToken, inputUnits: 100, outputUnits: 200 })
        assert.equal(said.status, 201)
        const { id, ...rest } = said.json
        assert.match(id, /^res_[0-9a-z]{24}$/)
        assert.deepEqual(rest, {
          leaseUntil: harness.clock.now + 600_000,
          hold: 300,
          user: { id: user.id, type: 'normal', nickname: 'Ann' },
          quota: { family: 'gpt4', used: 0, reserved: 300, limit: 1000, remaining: 700 },
        })
        assert.deepEqual(await quotaOf(user), { used: 0, reserved: 300, open: 1 })

        harness.clock.now += 1234
        const usage = { input: 90, cacheRead: 5, cacheWritten: 1, output: 20, reasoning: 4 }
        const settled = await end(id, 'settle', { usage, upstream: 'elsewhere', status: 206 })
        assert.deepEqual([settled.status, settled.json], [200, { id, outcome: 'closed' }])
        assert.deepEqual(await quotaOf(user), { used: 120, reserved: 0, open: 0 })
        const [entry] = await harness.database.rows(
          `select route, model, family, units, status, upstream, duration_ms from entries where id = '${id}'`,
        )
        assert.deepEqual(
          { ...entry },
          {
            route: reservations,
            model: 'gpt-4o',
            family: 'gpt4',
            units: 120,
            status: 206,
            upstream: 'elsewhere',
            duration_ms: 1234,
          },
        )
        await assertInvariants(harness.database)
      })

      it('is settled once, whatever comes after', async () => {
        const user = await harness.createUser()
        const id = await reserved({ userId: user.id, inputUnits: 10, outputUnits: 10 })
        const settle = () => end(id, 'settle', { units: 7 })
        const outcomes = (await Promise.all(Array.from({ length: 20 }, settle))).map(
          ({ json }) => json.outcome,
        )
        assert.deepEqual(outcomes.toSorted(), ['closed', ...Array.from({ length: 19 }, () => 'repeated')])
        assert.equal((await end(id, 'settle', { units: 500 })).json.outcome, 'repeated')
        assert.equal((await end(id, 'release')).json.outcome, 'repeated')
        assert.deepEqual(await quotaOf(user), { used: 7, reserved: 0, open: 0 })
      })

      it('is released without a charge', async () => {
        const user = await harness.createUser()
        const id = await reserved({ userId: user.id, inputUnits: 10, outputUnits: 10 })
        const said = await end(id, 'release', { status: 502, errorCode: 'upstream_failed' })
        assert.deepEqual([said.status, said.json], [200, { id, outcome: 'closed' }])
        assert.deepEqual(await quotaOf(user), { used: 0, reserved: 0, open: 0 })
        assert.equal((await end(id, 'settle', { units: 5 })).json.outcome, 'repeated')
        assert.equal((await quotaOf(user)).used, 0)
      })

      it('says how much output to allow where nobody bounded it', async () => {
        const user = await harness.createUser({ quotaLimits: { gpt4: 500 } })
        const said = await reserve({ userId: user.id, inputUnits: 100, choices: 2 })
        assert.deepEqual([said.json.outputCap, said.json.hold], [200, 500])
      })

      it('a hundred at once on a quota for ten: ten', async () => {
        const user = await harness.createUser({ quotaLimits: { gpt4: 1000 } })
        const said = await Promise.all(
          Array.from({ length: 100 }, () => reserve({ userId: user.id, inputUnits: 40, outputUnits: 60 })),
        )
        const admitted = said.filter(({ status }) => status === 201)
        const refused = said.filter(({ status, json }) => status === 429 && json.code === 'quota_exceeded')
        assert.deepEqual([admitted.length, refused.length], [10, 90])
        assert.deepEqual(refused[0]?.json.limit, {
          name: 'quota',
          family: 'gpt4',
          limit: 1000,
          used: 0,
          reserved: 1000,
          needed: 100,
          neededOutput: 60,
        })
        assert.equal(refused[0]?.headers.get('retry-after'), '1')
        const released = await Promise.all(admitted.map(({ json }) => end(json.id, 'release')))
        assert.ok(released.every(({ json }) => json.outcome === 'closed'))
        assert.equal((await reserve({ userId: user.id, inputUnits: 1000, outputUnits: 0 })).status, 201)
        await assertInvariants(harness.database)
      })

      it('counts as a running request, and is refused as one of our own gateway', async () => {
        const refusalOf = ({ status, json }: Said) => [status, json.code]
        const one = await harness.createUser({ limits: { concurrentRequests: 1 } })
        const id = await reserved({ userId: one.id, inputUnits: 1, outputUnits: 1 })
        const second = await reserve({ userId: one.id, inputUnits: 1 })
        assert.deepEqual(refusalOf(second), [429, 'concurrency_limited'])
        await end(id, 'release')
        await reserved({ userId: one.id, inputUnits: 1, outputUnits: 1 })
        const ask = async (edit: Parameters<typeof harness.createUser>[0], more: object = {}) => {
          const { accessToken: token } = await harness.createUser(edit)
          return refusalOf(await reserve({ token, inputUnits: 1, ...more }))
        }
        assert.deepEqual(refusalOf(await reserve({ token: 'nobody', inputUnits: 1 })), [
          401,
          'unknown_access_token',
        ])
        assert.deepEqual(await ask({ disabledAt: harness.clock.now }), [403, 'user_disabled'])
        assert.deepEqual(await ask({}, { model: 'llama' }), [404, 'model_not_served'])
        assert.deepEqual(await ask({ limits: { requestsPerMinute: 0 } }), [429, 'rate_limited'])
        assert.deepEqual(await ask({ limits: { allowedModels: ['claude'] } }), [404, 'model_not_allowed'])
        assert.deepEqual(
          await ask({ limits: { allowedNetworks: ['192.0.2.0/24'] } }, { address: '198.51.100.1' }),
          [403, 'address_not_allowed'],
        )
      })

      it('takes a family in the place of a model, and the family that is said over the one that is found', async () => {
        const user = await harness.createUser()
        const byFamily = await reserved({ userId: user.id, model: undefined, family: 'gpt4', inputUnits: 1 })
        const foreign = await reserved({ userId: user.id, model: 'llama', family: 'gpt4', inputUnits: 2 })
        for (const id of [byFamily, foreign]) await end(id, 'settle', { units: 3 })
        assert.equal((await quotaOf(user)).used, 6)
      })
    })

    describe("a reservation's lease", () => {
      const sweep = () => harness.store.metering.abandonEntries(harness.clock.now, 60_000)

      it('ends: the input is charged as an estimate, the hold is freed, and a late settlement puts it right', async () => {
        const user = await harness.createUser({ quotaLimits: { gpt4: 1000 } })
        const id = await reserved({ userId: user.id, inputUnits: 100, outputUnits: 900, leaseSeconds: 60 })
        harness.clock.now += 59_000
        await sweep()
        assert.deepEqual(await quotaOf(user), { used: 0, reserved: 1000, open: 1 })
        harness.clock.now += 2_000
        assert.equal(await sweep(), 1)
        assert.deepEqual(await quotaOf(user), { used: 100, reserved: 0, open: 0 })
        assert.equal((await end(id, 'renew')).status, 409)
        const late = await end(id, 'settle', { usage: { input: 90, output: 30 } })
        assert.deepEqual([late.status, late.json.outcome], [200, 'corrected'])
        assert.deepEqual(await quotaOf(user), { used: 120, reserved: 0, open: 0 })
        assert.equal((await end(id, 'settle', { units: 1 })).json.outcome, 'repeated')
        assert.equal((await quotaOf(user)).used, 120)
      })

      it('is prolonged', async () => {
        const user = await harness.createUser()
        const id = await reserved({ userId: user.id, inputUnits: 1, outputUnits: 1, leaseSeconds: 10 })
        harness.clock.now += 9_000
        const said = await end(id, 'renew', { leaseSeconds: 30 })
        assert.deepEqual(
          [said.status, said.json],
          [200, { id, outcome: 'renewed', leaseUntil: harness.clock.now + 30_000 }],
        )
        harness.clock.now += 29_000
        await sweep()
        assert.equal((await quotaOf(user)).open, 1)
        assert.equal((await end(id, 'release')).json.outcome, 'closed')
        assert.equal((await end(id, 'renew', { leaseSeconds: 30 })).json.code, 'conflict')
      })
    })

    describe('what a reservation is not', () => {
      it('is 404: one that never was, and an entry of our own gateway', async () => {
        const user = await harness.createUser()
        const requestId = `req_${'0'.repeat(24)}`
        const units = { model: 'gpt-4o', family: 'gpt4', input: 5, output: 5, choices: 1 }
        const { accessToken } = user
        await harness.store.metering.runBatch({
          now: harness.clock.now,
          settlements: [],
          asks: [{ requestId, accessToken, address: '192.0.2.1', route: '/v1/x', isMetered: true, units }],
        })
        for (const id of [requestId, `res_${'0'.repeat(24)}`, 'res_', 'res_x', '%2e%2e', 'x'.repeat(500)])
          for (const [how, body] of [
            ['settle', { units: 1 }],
            ['release', ''],
            ['renew', ''],
          ] as const) {
            const said = await end(id, how, body)
            assert.deepEqual([said.status, said.json.code], [404, 'not_found'], `${how} ${id}`)
          }
        assert.deepEqual(await quotaOf(user), { used: 0, reserved: 10, open: 1 })
      })

      it('bad input, which changes nothing', async () => {
        const user = await harness.createUser()
        const { id: userId } = user
        const wrong: readonly (readonly [object, string])[] = [
          [{ userId }, 'inputUnits'],
          [{ userId, inputUnits: -1 }, 'inputUnits'],
          [{ userId, inputUnits: 1e12 + 1 }, 'inputUnits'],
          [{ userId, inputUnits: 2 ** 53 - 1 }, 'inputUnits'],
          [{ userId, inputUnits: 1, outputUnits: 2 ** 53 }, 'outputUnits'],
          [{ userId, inputUnits: 1, choices: 129 }, 'choices'],
          [{ userId, inputUnits: 1, leaseSeconds: 1e300 }, 'leaseSeconds'],
          [{ userId, inputUnits: 1, outputUnits: '5' }, 'outputUnits'],
          [{ userId, inputUnits: 1, choices: 0 }, 'choices'],
          [{ userId, inputUnits: 1, leaseSeconds: 9 }, 'leaseSeconds'],
          [{ userId, inputUnits: 1, leaseSeconds: 86_401 }, 'leaseSeconds'],
          [{ userId, inputUnits: 1, model: undefined }, 'model'],
          [{ inputUnits: 1 }, 'token'],
        ]
        for (const [body, path] of wrong) {
          const said = await reserve(body)
          assert.deepEqual([said.status, said.json.issues?.[0].path], [400, path], JSON.stringify(body))
        }
        const id = await reserved({ userId, inputUnits: 1, outputUnits: 1 })
        const settlements: readonly (readonly [unknown, string])[] = [
          [{}, 'usage'],
          [{ usage: { input: 1 }, units: 1 }, 'usage'],
          [{ usage: {} }, 'usage'],
          [{ usage: { prompt_tokens: 5 } }, 'usage.prompt_tokens'],
          [{ usage: { input: -1 } }, 'usage.input'],
          [{ usage: { reasoning: 1e12 + 1 } }, 'usage.reasoning'],
          [{ units: 2 ** 53 - 1 }, 'units'],
          [{ units: 1, durationMs: 1e300 }, 'durationMs'],
          [{ units: 1, firstByteMs: 2 ** 53 }, 'firstByteMs'],
          [{ units: 1, status: 1000 }, 'status'],
          [{ units: 1, upstream: 'a\nb' }, 'upstream'],
        ]
        for (const [body, path] of settlements) {
          const said = await end(id, 'settle', body)
          assert.deepEqual([said.status, said.json.issues?.[0].path], [400, path], JSON.stringify(body))
        }
        assert.equal((await end(id, 'settle')).json.code, 'bad_json')
        assert.deepEqual(await quotaOf(user), { used: 0, reserved: 2, open: 1 })
      })
    })

    describe('while the store is away', () => {
      it('nothing is reserved, and a settlement is taken and booked later', async () => {
        let isAway = false
        let book: () => void = () => {}
        const away = await openVerifierHarness(database, {
          settleWaitMs: 20,
          wrapLedger: (ledger) => ({
            ...ledger,
            admit: (ask) => (isAway ? Promise.reject(new StoreUnavailable('gone')) : ledger.admit(ask)),
            settle: async (settlement) => {
              if (isAway)
                await new Promise<void>((resolve) => {
                  book = resolve
                })
              return ledger.settle(settlement)
            },
          }),
        })
        try {
          const user = await away.createUser()
          const body = { userId: user.id, model: 'gpt-4o', inputUnits: 1, outputUnits: 1 }
          const { id } = (await away.post(reservations, body)).json
          isAway = true
          assert.equal((await away.post(reservations, body)).status, 503)
          const said = await away.post(`${reservations}/${id}/settle`, { units: 9 })
          assert.deepEqual([said.status, said.json], [202, { id, outcome: 'accepted' }])
          isAway = false
          book()
          const used = async () => (await away.userOf(user)).quotas.get('gpt4')?.used
          await waitUntil(async () => (await used()) === 9, 'it is booked')
          // One that is not booked within the wait is only accepted, and a busy machine may be as slow.
          let outcome = 'accepted'
          await waitUntil(async () => {
            outcome = (await away.post(`${reservations}/${id}/settle`, { units: 9 })).json.outcome
            return outcome !== 'accepted'
          }, 'it is known to be booked')
          assert.equal(outcome, 'repeated')
          assert.equal(await used(), 9)
        } finally {
          await away.close()
        }
      })
    })
  })
}
