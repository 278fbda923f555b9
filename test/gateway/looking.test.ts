import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { looksPerMinute } from '#http/reading-rate.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

for (const database of databases) {
  describe(`how often a holder may look, on ${database.name}`, { timeout: 30_000 }, () => {
    const { harness } = useGateway(database)

    const look = (path: string, accessToken: string, headers: Record<string, string> = {}) =>
      fetch(harness.origin + path, { headers: { authorization: `Bearer ${accessToken}`, ...headers } })
    /** Looks until it is refused. */
    async function lookOften(path: string, accessToken: string, headers: Record<string, string>) {
      const begunAt = performance.now()
      let allowed = 0
      for (;;) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => look(path, accessToken, headers)))
        const refused = answers.find(({ status }) => status === 429)
        allowed += answers.filter(({ status }) => status < 429).length
        if (refused) return { refused, allowed, tookMs: performance.now() - begunAt }
        assert.ok(allowed < 3 * looksPerMinute, `not refused after ${allowed}`)
      }
    }

    for (const [path, headers] of [
      ['/v1/usage', {}],
      ['/v1/models', {}],
      ['/v1/models', { 'anthropic-version': '2023-06-01' }],
      ['/v1/models/gpt-4o', {}],
    ] as const) {
      it(`GET ${path} (${Object.keys(headers).join()}) has a rate of its own`, async () => {
        // One request a minute: looking takes nothing of it, and it takes nothing of looking.
        const accessToken = await harness.createUser({ limits: { requestsPerMinute: 1 } })
        const { refused, allowed, tookMs } = await lookOften(path, accessToken, headers)
        const cameBack = Math.ceil((tookMs * looksPerMinute) / 60_000)
        assert.ok(
          allowed >= looksPerMinute && allowed <= looksPerMinute + cameBack,
          `${allowed} in ${tookMs} ms`,
        )
        assert.match(refused.headers.get('retry-after') ?? '', /^[12]$/)
        const body = (await refused.json()) as Record<string, Record<string, string>>
        const said = path === '/v1/usage' ? body : body.error
        assert.equal(
          path === '/v1/usage' ? said?.code : said?.type,
          path === '/v1/usage' ? 'rate_limited' : 'rate_limit_error',
        )
        const chat = await fetch(`${harness.origin}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${accessToken}` },
          body: JSON.stringify({ model: 'gpt-4o', messages: [] }),
        })
        assert.equal(chat.status, 200)
        const other = await harness.createUser()
        const byOther = (await look(path, other)).status
        assert.ok(byOther < 429, `another holder may look: ${byOther}`)
        harness.shiftClock(1500)
        const again = (await look(path, accessToken)).status
        assert.ok(again < 429, `a second later it may look again: ${again}`)
      })
    }
  })
}
