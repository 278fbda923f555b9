import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import OpenAI from 'openai'
import { createProblem } from '#core/errors.ts'
import { call } from '../support/gateway-client.ts'
import { upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import type { Script } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

/**
 * What clients of `/v1/responses` look for: Codex in the type of a spent quota and in `response.failed`, the official
 * client in an event that is an error, its helper in one response from beginning to end.
 */
const dayMs = 86_400_000
const event = (type: string, sequence_number: number, more: object) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number, ...more })}\n\n`
const response = {
  id: 'resp_of_the_provider',
  object: 'response',
  status: 'in_progress',
  output: [],
  model: 'o3',
}
const begun = event('response.created', 0, { response })
const item = { id: 'msg_1', type: 'message', role: 'assistant', status: 'in_progress', content: [] }
const part = { type: 'output_text', text: '', annotations: [] }
const at = { item_id: 'msg_1', output_index: 0, content_index: 0 }
const text = [
  event('response.output_item.added', 1, { output_index: 0, item }),
  event('response.content_part.added', 2, { ...at, part }),
  event('response.output_text.delta', 3, { ...at, delta: 'Hello' }),
].join('')

for (const database of databases) {
  describe(`problems on /v1/responses, on ${database.name}`, () => {
    const { harness, upstream } = useGateway(database, (origin) => ({
      upstreams: [upstreamAt(origin, { provider: 'openai' })],
    }))
    const clientOf = (apiKey: string) =>
      new OpenAI({ apiKey, baseURL: `${harness.origin}/v1`, maxRetries: 0 })

    it('a spent quota has the type that Codex knows, and a time where waiting for it helps', async () => {
      const daily = { limits: { period: 'daily' } } as const
      const spent = await harness.createUser({
        ...daily,
        quotaLimits: { gpt4: 2000 },
        quotaUsed: { gpt4: 2000 },
      })
      const small = await harness.createUser({ ...daily, quotaLimits: { gpt4: 10 } })
      for (const [accessToken, isTimed] of [
        [spent, true],
        [small, false],
      ] as const) {
        const ask = clientOf(accessToken).responses.create({
          model: 'o3',
          input: 'Hi',
          max_output_tokens: 100,
        })
        await assert.rejects(Promise.resolve(ask), (error) => {
          assert.ok(error instanceof OpenAI.RateLimitError)
          assert.deepEqual([error.type, error.code], ['usage_limit_reached', 'insufficient_quota'])
          assert.ok(error.error !== null && typeof error.error === 'object')
          const { resets_at, limit }: { resets_at?: number; limit?: { resetAt?: number } } = error.error
          assert.equal(resets_at !== undefined, isTimed)
          if (resets_at === undefined) return true
          assert.equal(resets_at * 1000, limit?.resetAt)
          assert.ok(resets_at * 1000 - Date.now() <= dayMs && resets_at * 1000 > Date.now())
          return true
        })
      }
      const body = { model: 'o3', max_tokens: 100, messages: [] }
      const chat = await call(harness.port, { path: '/v1/chat/completions', accessToken: small, body })
      assert.equal(JSON.parse(chat.text).error.type, 'insufficient_quota', 'elsewhere as ever')
    })

    const moments: readonly (readonly [string, readonly string[], string])[] = [
      ['before its first event', [], ''],
      ['in its middle', [begun, text], 'Hello'],
      ['in its middle, in small pieces', (begun + text).split(/(?<=\n\n)|(?<=.{40})/s), 'Hello'],
    ]
    for (const [when, list, seen] of moments) {
      describe(`a stream that is cut ${when}`, () => {
        const running: Script = async (_request, answer) => {
          answer.writeHead(200, { 'content-type': 'text/event-stream' })
          answer.flushHeaders()
          for (const piece of list) {
            answer.write(piece)
            await new Promise((resolve) => setTimeout(resolve, 1))
          }
        }
        /** Cuts the user's stream when all of it has come. */
        async function begin(): Promise<{ client: OpenAI; cut: (isAll: () => boolean) => Promise<void> }> {
          upstream.script = running
          const accessToken = await harness.createUser()
          const { id } = await harness.userOf(accessToken)
          return {
            client: clientOf(accessToken),
            async cut(isAll) {
              await waitUntil(() => harness.gateway.openRelays() === 1 && isAll(), 'it runs')
              harness.gateway.cutUser(id, createProblem('user_disabled', 'Disabled: left the team'))
            },
          }
        }

        it('ends as a failed response with our words, and then with an error', async () => {
          const { client, cut } = await begin()
          const stream = await client.responses.create({ model: 'o3', input: 'Hi', stream: true })
          const events: OpenAI.Responses.ResponseStreamEvent[] = []
          const reading = (async () => {
            for await (const each of stream) events.push(each)
          })()
          const raised = assert.rejects(
            reading,
            (error) =>
              error instanceof OpenAI.APIError &&
              error.code === 'user_disabled' &&
              /left the team/.test(error.message),
          )
          await cut(() => list.length === 0 || events.length === 4)
          await raised
          const [first, last] = [events[0], events.at(-1)]
          assert.ok(first?.type === 'response.created' && last?.type === 'response.failed')
          assert.equal(last.response.id, first.response.id)
          assert.equal(last.response.status, 'failed')
          assert.deepEqual(last.response.error, { code: 'user_disabled', message: 'Disabled: left the team' })
        })

        it('raises the same in the helper of the official client, which keeps what had come', async () => {
          const { client, cut } = await begin()
          const stream = client.responses.stream({ model: 'o3', input: 'Hi' })
          let text = ''
          stream.on('response.output_text.delta', ({ delta }) => {
            text += delta
          })
          const raised = assert.rejects(
            stream.done(),
            (error) => error instanceof OpenAI.APIError && /left the team/.test(error.message),
          )
          await cut(() => text === seen)
          await raised
        })
      })
    }
  })
}
