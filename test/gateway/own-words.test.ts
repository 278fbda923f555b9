import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { providers } from '#providers/all.ts'
import { createHide } from '#providers/hidden.ts'
import { ownWordsOf, publicHostsOf } from '#upstreams/own-words.ts'
import { call } from '../support/gateway-client.ts'
import { upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, chatChunk, event, json, pieces, type Script } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { anyDatabase } from '../support/stores.ts'

const chat = { path: '/v1/chat/completions', body: { model: 'gpt-4o', messages: [] } }

/** Keys in forms that no pattern knows. */
const keys = ['AIzaSyFakeFakeFake-_01', '0123456789abcdef0123456789abcdef', 'our own/"key" & <more>']
const header = 'f00-header-secret-1'

const usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 }

for (const apiKey of keys) {
  describe(`an upstream that repeats the key ${apiKey}`, () => {
    const { harness, upstream } = useGateway(anyDatabase, (origin) => ({
      upstreams: [upstreamAt(origin, { provider: 'openai', apiKey, headers: { 'x-org-token': header } })],
    }))

    const told = (secret: string) => `cannot serve ${secret} here`
    const errorOf = (...secrets: string[]) => ({
      error: { message: secrets.map(told).join('; '), type: 'odd' },
    })

    async function ask(script: Script, path = chat.path) {
      upstream.script = script
      harness.shiftClock(601_000)
      const accessToken = await harness.createUser()
      const answer = await call(harness.port, { ...chat, path, accessToken })
      const used = await harness.usedBy(accessToken)
      await harness.settle()
      return { ...answer, used }
    }

    const secrets = () => [apiKey, header, new URL(upstream.origin).host]
    const shown = errorOf('(hidden)', '(hidden)', '(hidden)')

    for (const status of [400, 404, 429, 500])
      it(`hides it in an error of status ${status}`, async () => {
        const answer = await ask(json(errorOf(...secrets()), status))
        assert.deepEqual([answer.status, JSON.parse(answer.text)], [status, shown])
      })

    it('hides it in the spellings of other JSON libraries', async () => {
      const text = JSON.stringify(errorOf(apiKey))
      const spelt = text.replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`)
      for (const each of [spelt, text.replaceAll('/', '\\/')]) {
        const script: Script = (_request, response) =>
          response.writeHead(400, { 'content-type': 'application/json' }).end(each)
        assert.deepEqual(JSON.parse((await ask(script)).text), errorOf('(hidden)'))
      }
    })

    it('hides it in a compressed error', async () => {
      const script: Script = (_request, response) => {
        response.writeHead(404, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        response.end(gzipSync(JSON.stringify(errorOf(...secrets()))))
      }
      assert.deepEqual(JSON.parse((await ask(script)).text), shown)
    })

    it('hides it in an error of status 200, and in an event', async () => {
      assert.deepEqual(JSON.parse((await ask(json(errorOf(...secrets())))).text), shown)
      const streamed = await ask(
        pieces([chatChunk('Hello'), event(errorOf(...secrets())), chatChunk('more')]),
      )
      assert.equal(streamed.text, chatChunk('Hello') + event(shown) + chatChunk('more'))
    })

    it('hides it, and names, in an error beside usage, without a change of the rest or the charge', async () => {
      const names = [apiKey, 'org-operator123', 'sk-operator123456']
      const hidden = errorOf('(hidden)', '(hidden)', '(hidden)')
      const text = { message: { role: 'assistant', content: told(apiKey) } }
      const cases = [
        { ...errorOf(...names), usage },
        { ...errorOf(...names), choices: [text], usage },
        { choices: [{ ...text, ...errorOf(...names) }], usage },
      ]
      for (const body of cases) {
        const answer = await ask(json(body))
        const expected = JSON.parse(
          JSON.stringify(body).replace(JSON.stringify(errorOf(...names)).slice(1, -1), () =>
            JSON.stringify(hidden).slice(1, -1),
          ),
        )
        assert.deepEqual(JSON.parse(answer.text), expected)
        assert.deepEqual([answer.status, answer.used], [200, 12])
      }
      const response = { object: 'response', status: 'failed', output: [], usage: null }
      const failed = await ask(json({ ...response, ...errorOf(...names) }), '/v1/responses')
      assert.deepEqual(JSON.parse(failed.text), { ...response, ...hidden })
      const detail = await ask(json({ detail: told('org-operator123') }))
      assert.deepEqual(JSON.parse(detail.text), { detail: told('(hidden)') })
    })

    it('leaves an answer without an error as it came', async () => {
      const [choice] = chatAnswer.choices
      const answer = {
        ...chatAnswer,
        error: null,
        choices: [{ ...choice, note: `"error": "${apiKey} org-operator123"` }],
      }
      assert.equal((await ask(json(answer))).text, JSON.stringify(answer))
    })
  })
}

describe("an upstream's own words", () => {
  const publicHosts = publicHostsOf(providers)
  const wordsOf = (baseUrl: string, more: object = {}) =>
    ownWordsOf({ name: 'x', provider: 'openai', baseUrl, models: ['*'], ...more }, publicHosts)

  it('are its key, secret headers, user and host', () => {
    const headers = {
      authorization: 'Bearer abcdefgh',
      'x-region': 'europe',
      'anthropic-beta': 'token-tools-2025-02-19',
      'x-id': '0123456789abcdef01',
    }
    assert.deepEqual(
      new Set(
        wordsOf('https://me:p%40ss@llm.corp.example:8443/v1?api-key=in-the-query', { apiKey: 'k', headers }),
      ),
      new Set([
        ...['k', 'Bearer abcdefgh', 'Bearer', 'abcdefgh', '0123456789abcdef01', 'in-the-query'],
        ...['me', 'p@ss', 'llm.corp.example:8443', 'llm.corp.example'],
      ]),
    )
  })

  it('are not the host of a public service', () => {
    assert.deepEqual(wordsOf('https://api.openai.com/v1').filter(Boolean), [])
    assert.deepEqual(wordsOf('http://127.0.0.1:11434/v1').filter(Boolean), ['127.0.0.1:11434'])
    assert.deepEqual(wordsOf('https://ours.openai.azure.com').filter(Boolean)[0], 'ours.openai.azure.com')
  })

  it('are not replaced where they are shorter than 8 characters', () => {
    assert.equal(createHide(['abcdefg', 'abcdefgh'])('abcdefg abcdefgh'), 'abcdefg (hidden)')
  })
})
