import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, closedOrigin, json, type Script } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

const day = Date.UTC(2100, 0, 1)

for (const database of databases) {
  describe(`what a holder can see on ${database.name}`, () => {
    const models = (ids: readonly string[]): Script =>
      json({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 5, owned_by: 'them' })) })
    const serve: Script = (request, response, socket) => {
      const script =
        request.method === 'GET'
          ? models(['gpt-4o', 'gpt-4o-mini', 'secret-model', 'gpt-5'])
          : json(chatAnswer)
      return script(request, response, socket)
    }
    const { harness, upstream } = useGateway(
      database,
      async (origin) => ({
        upstreams: [
          upstreamAt(origin, { provider: 'openai', models: ['gpt-4*', 'secret-*'] }),
          upstreamAt(await closedOrigin(), { provider: 'openai', name: 'away', models: ['gpt-4.1', 'o3*'] }),
        ],
        policy: { limits: { turbo: 500 } },
      }),
      serve,
    )

    const get = (path: string, accessToken?: string, headers = {}) =>
      call(harness.port, { method: 'GET', path, headers, ...(accessToken !== undefined && { accessToken }) })

    describe('GET /v1/models', () => {
      const listed = async (accessToken: string) => {
        const answer = await get('/v1/models', accessToken)
        assert.equal(answer.status, 200)
        return JSON.parse(answer.text).data.map(({ id }: { id: string }) => id)
      }

      it('lists what upstreams have, globs let through and families hold, and literal names of those away', async () => {
        assert.deepEqual(await listed(await harness.createUser()), ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'])
      })

      it('asks an upstream once a minute', async () => {
        const accessToken = await harness.createUser()
        await Promise.all([listed(accessToken), listed(accessToken)])
        const asked = () => upstream.requests.filter(({ method }) => method === 'GET').length
        const before = asked()
        await listed(accessToken)
        assert.equal(asked(), before)
        harness.shiftClock(61_000)
        await Promise.all([listed(accessToken), listed(accessToken)])
        assert.equal(asked(), before + 1)
        assert.equal(upstream.requests.at(-1)?.headers.authorization, 'Bearer upstream-secret')
      })

      it('leaves out what the holder may not ask for', async () => {
        const accessToken = await harness.createUser({ limits: { allowedModels: ['turbo'] } })
        assert.deepEqual(await listed(accessToken), ['gpt-4o-mini'])
        assert.equal((await get('/v1/models/gpt-4o', accessToken)).status, 404)
        assert.equal((await get('/v1/models/gpt-4o-mini', accessToken)).status, 200)
      })

      it('wants an access token that is good', async () => {
        assert.equal((await get('/v1/models')).status, 401)
        assert.equal((await get('/v1/models', 'nobody')).status, 401)
        assert.equal((await get('/v1/models', await harness.createUser({ disabledAt: 1 }))).status, 403)
        assert.equal((await call(harness.port, { path: '/v1/models', body: {} })).status, 405)
      })

      it('says why it refuses, on either protocol, and never with an empty list', async () => {
        const blocked = [
          [{ disabledAt: 1, disabledReason: 'Left' }, /disabled: Left/],
          [{ type: 'temporary', expiresAt: 1 }, /expired/],
          [{ limits: { allowedNetworks: ['192.0.2.0/24'] } }, /may not be used from/],
        ] as const
        for (const [edit, reason] of blocked) {
          const accessToken = await harness.createUser(edit)
          for (const path of ['/v1/models', '/v1/models/gpt-4o']) {
            for (const headers of [{}, { 'anthropic-version': '2023-06-01' }]) {
              const answer = await get(path, accessToken, headers)
              assert.equal(answer.status, 403)
              assert.match(JSON.parse(answer.text).error.message, reason)
            }
          }
        }
      })

      it('keeps what the upstream says of a model', async () => {
        const described = { id: 'gpt-4o', object: 'model', created: 5, owned_by: 'them', max_model_len: 4096 }
        upstream.script = json({ object: 'list', data: [{ ...described, root: '/srv/models' }] })
        harness.shiftClock(61_000)
        const accessToken = await harness.createUser()
        const one = JSON.parse((await get('/v1/models/gpt-4o', accessToken)).text)
        const [first] = JSON.parse((await get('/v1/models', accessToken)).text).data
        upstream.script = serve
        harness.shiftClock(61_000)
        assert.deepEqual([one, first], [described, described])
      })

      it('counts nothing', async () => {
        const accessToken = await harness.createUser({ limits: { requestsPerMinute: 1 } })
        for (let round = 0; round < 3; round += 1) await listed(accessToken)
        assert.equal((await harness.userOf(accessToken)).promptCount, 0)
      })
    })

    describe('GET /v1/usage', () => {
      it('shows each family: used, reserved, limit, what is left and until when', async () => {
        const edit = {
          type: 'temporary',
          nickname: 'Ada',
          expiresAt: day,
          quotaLimits: { gpt4: 30 },
          limits: { period: 'daily' },
        } as const
        const accessToken = await harness.createUser(edit)
        const body = { model: 'gpt-4o', max_tokens: 5, messages: [] }
        assert.equal(
          (await call(harness.port, { path: '/v1/chat/completions', accessToken, body })).status,
          200,
        )
        const answer = await get('/v1/usage', accessToken)
        assert.equal(answer.status, 200)
        assert.equal(answer.headers['cache-control'], 'no-store')
        const { user, families } = JSON.parse(answer.text)
        const { id } = await harness.userOf(accessToken)
        assert.deepEqual(user, {
          id,
          type: 'temporary',
          nickname: 'Ada',
          state: 'active',
          expiresAt: day,
          promptCount: 1,
        })
        const [gpt4] = families.filter(({ family }: { family: string }) => family === 'gpt4')
        const { resetAt, ...rest } = gpt4
        assert.deepEqual(rest, { family: 'gpt4', used: 12, reserved: 0, limit: 30, remaining: 18 })
        assert.ok(resetAt > Date.now() && resetAt % 86_400_000 === 0)
        const [turbo, claude] = ['turbo', 'claude'].map((name) =>
          families.find((each: { family: string }) => each.family === name),
        )
        assert.equal(turbo.limit, 500, "the configuration's limit")
        assert.equal(claude.limit, undefined, 'none where there is none')
        assert.doesNotMatch(answer.text, new RegExp(accessToken))
      })

      it('answers when the quota is spent', async () => {
        const accessToken = await harness.createUser({ quotaLimits: { gpt4: 0 }, quotaUsed: { gpt4: 50 } })
        const { families } = JSON.parse((await get('/v1/usage', accessToken)).text)
        const gpt4 = families.find((each: { family: string }) => each.family === 'gpt4')
        assert.deepEqual([gpt4.used, gpt4.remaining], [50, 0])
      })

      it('refuses as the gateway does', async () => {
        const statuses = [
          (await get('/v1/usage')).status,
          (await get('/v1/usage', 'nobody')).status,
          (await get('/v1/usage', await harness.createUser({ disabledAt: 1 }))).status,
          (await call(harness.port, { path: '/v1/usage', body: {} })).status,
        ]
        assert.deepEqual(statuses, [401, 401, 403, 405])
      })
    })
  })
}
