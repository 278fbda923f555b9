import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

for (const database of databases) {
  describe(`GET /v1/usage with a history on ${database.name}`, () => {
    const { harness } = useGateway(database)

    const ask = (accessToken: string, model: string) =>
      call(harness.port, {
        path: '/v1/chat/completions',
        accessToken,
        body: { model, messages: [{ role: 'user', content: 'hi' }] },
      })
    const get = (accessToken: string, query: string) =>
      call(harness.port, { method: 'GET', path: `/v1/usage${query}`, accessToken })

    it('shows the last 30 days by day and family, of nobody else, beside what was there before', async () => {
      const [mine, other] = [await harness.createUser(), await harness.createUser()]
      for (const model of ['gpt-4o', 'gpt-4o-mini', 'gpt-4o']) await ask(mine, model)
      await ask(other, 'gpt-4o')
      await harness.settle()
      const { history, ...rest } = JSON.parse((await get(mine, '?bucket=day')).text)
      const { rows, from, to, ...about } = history
      assert.deepEqual(about, { bucket: 'day', timeZone: 'UTC', groupBy: ['family'], truncated: false })
      assert.equal(to - from, 30 * 86_400_000)
      const figures = { estimated: 0, cacheRead: 0, cacheWritten: 0, reasoning: 0 }
      const at = rows[0]?.at
      assert.equal(at % 86_400_000, 0)
      assert.deepEqual(rows, [
        { at, family: 'gpt4', requests: 2, ...figures, input: 14, output: 10, units: 24 },
        { at, family: 'turbo', requests: 1, ...figures, input: 7, output: 5, units: 12 },
      ])
      assert.deepEqual(JSON.parse((await get(mine, '')).text), rest)
    })

    it('takes a time, a bucket and what to group by', async () => {
      const accessToken = await harness.createUser()
      await ask(accessToken, 'gpt-4o')
      await harness.settle()
      const groups = async (query: string) => {
        const { history } = JSON.parse((await get(accessToken, query)).text)
        return [history.bucket, history.groupBy, history.rows.length, history.rows[0]?.model]
      }
      assert.deepEqual(await groups('?groupBy=model,status'), ['day', ['model', 'status'], 1, 'gpt-4o'])
      assert.deepEqual(await groups('?bucket=minute&groupBy='), ['minute', [], 1, undefined])
      assert.deepEqual(await groups('?bucket=hour'), ['hour', ['family'], 1, undefined])
      assert.deepEqual(await groups('?from=2026-01-01&to=2026-01-02'), ['day', ['family'], 0, undefined])
    })

    it('refuses what it cannot answer, and never says which upstream or who else', async () => {
      const accessToken = await harness.createUser()
      for (const [query, path] of [
        ['?groupBy=upstream', 'groupBy'],
        ['?groupBy=user', 'groupBy'],
        ['?bucket=year', 'bucket'],
        ['?from=never', 'from'],
        ['?from=1767225600', 'from'],
        ['?user=usr_x', 'user'],
        ['?groupby=model', 'groupby'],
        ['?bucket=day&bucket=hour', 'bucket'],
        ['?bucket=minute&from=2020-01-01', 'bucket'],
      ] as const) {
        const { status, text } = await get(accessToken, query)
        assert.equal(status, 400, query)
        assert.deepEqual(
          JSON.parse(text).issues.map((issue: { path: string }) => issue.path),
          [path],
        )
      }
      assert.equal((await get('nobody', '?bucket=day')).status, 401)
    })
  })
}
