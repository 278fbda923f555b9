import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { providers } from '#providers/all.ts'
import type { Endpoint } from '#providers/provider.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from './server.ts'

/** Driven by the official clients: what they accept is what the real servers say. */

let upstream: SimulatedUpstream
let openai: OpenAI
let anthropic: Anthropic

before(async () => {
  upstream = await openSimulatedUpstream({ port: 0, apiKey: 'sk-right', behaviour: { chunkMs: 0 } })
  openai = new OpenAI({ apiKey: 'sk-right', baseURL: `${upstream.url}/v1`, maxRetries: 0 })
  anthropic = new Anthropic({ apiKey: 'sk-right', baseURL: upstream.url, maxRetries: 0 })
})
after(() => upstream.close())
beforeEach(() => upstream.clearServed())

const question = [{ role: 'user' as const, content: 'What is a quota?' }]
const simulate = (behaviour: string) => ({ headers: { 'x-simulate': behaviour } })
const lastServed = () => upstream.served().at(-1) ?? assert.fail('nothing was served')

function endpointAt(path: string): Endpoint {
  return (
    providers.flatMap(({ endpoints }) => endpoints).find((each) => each.path === path) ?? assert.fail(path)
  )
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of stream) all.push(each)
  return all
}

/** The answer's bytes as they come over the wire, with the places where the network cut them. */
async function rawAnswer(path: string, body: object, behaviour: string): Promise<Buffer[]> {
  const headers = {
    authorization: 'Bearer sk-right',
    'x-simulate': behaviour,
    'content-type': 'application/json',
  }
  const sent = request(`${upstream.url}${path}`, { method: 'POST', headers, agent: false })
  sent.end(JSON.stringify(body))
  const [response] = await once(sent, 'response')
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk)
  } catch {
    // Cut off on request.
  }
  return chunks
}

describe('chat completions', () => {
  it('answers, and states what it served', async () => {
    const answer = await openai.chat.completions.create({ model: 'gpt-4o-mini', messages: question })
    assert.match(answer.choices[0]?.message.content ?? '', /What is a quota\?/)
    assert.equal(answer.choices[0]?.finish_reason, 'stop')
    const { usage } = lastServed()
    assert.equal(answer.usage?.prompt_tokens, usage?.input)
    assert.equal(answer.usage?.completion_tokens, usage?.output)
    assert.ok((usage?.output ?? 0) > 15)
  })

  it('streams with usage only where it is asked for', async () => {
    for (const include_usage of [true, false]) {
      const options = {
        model: 'gpt-4o',
        messages: question,
        stream: true as const,
        stream_options: { include_usage },
      }
      const chunks = await collect(await openai.chat.completions.create(options))
      const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
      assert.match(text, /simulated/)
      assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
      assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason === 'stop').length, 1)
      assert.equal(
        chunks.some((chunk) => chunk.usage),
        include_usage,
      )
      assert.equal(lastServed().usage !== undefined, include_usage)
      assert.equal(lastServed().isClientGone, false)
    }
  })

  it('honours the cap, n, cached and reasoning', async () => {
    const answer = await openai.chat.completions.create(
      { model: 'o4-mini', messages: question, max_completion_tokens: 10, n: 3 },
      simulate('cached=2; reasoning=4; units=50'),
    )
    assert.equal(answer.choices.length, 3)
    assert.equal(answer.choices[0]?.finish_reason, 'length')
    assert.equal(answer.usage?.completion_tokens, 30)
    assert.equal(answer.usage?.completion_tokens_details?.reasoning_tokens, 12)
    assert.equal(answer.usage?.prompt_tokens_details?.cached_tokens, 2)
    assert.deepEqual(lastServed().usage, {
      input: 2,
      cacheRead: 2,
      cacheWritten: 0,
      output: 18,
      reasoning: 12,
    })
  })
})

describe('the other operations', () => {
  it('completes', async () => {
    const answer = await openai.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: ['a', 'b'] })
    assert.equal(answer.choices.length, 2)
    assert.equal(answer.usage?.completion_tokens, 32)
    const stream = await openai.completions.create({ model: 'x', prompt: 'a', max_tokens: 5, stream: true })
    const texts = (await collect(stream)).map((chunk) => chunk.choices[0]?.text)
    assert.equal(texts.filter((text) => text !== '').length, 5)
  })

  it('responds, whole and as a stream', async () => {
    const whole = await openai.responses.create({ model: 'gpt-4o', input: 'What is a quota?' })
    assert.match(whole.output_text, /simulated/)
    assert.equal(whole.usage?.output_tokens, lastServed().usage?.output)
    const stream = openai.responses.stream({
      model: 'gpt-4o',
      input: 'What is a quota?',
      max_output_tokens: 7,
    })
    const final = await stream.finalResponse()
    assert.equal(final.status, 'incomplete')
    assert.equal(final.usage?.output_tokens, 7)
  })

  it('embeds, as numbers and in base64', async () => {
    // The client asks for base64 by itself.
    const answer = await openai.embeddings.create({
      model: 'text-embedding-3-small',
      input: ['a', 'b'],
      dimensions: 8,
    })
    assert.deepEqual(
      answer.data.map(({ embedding }) => embedding.length),
      [8, 8],
    )
    assert.equal(answer.usage.prompt_tokens, lastServed().usage?.input)
  })

  it('lists models in both shapes', async () => {
    const first = await collect(openai.models.list())
    const second = await collect(anthropic.models.list())
    assert.deepEqual(
      first.map(({ id }) => id),
      second.map(({ id }) => id),
    )
    assert.equal((await openai.models.retrieve('gpt-4o')).owned_by, 'simulated')
    assert.equal((await anthropic.models.retrieve('gpt-4o')).type, 'model')
    await assert.rejects(openai.models.retrieve('nothing'), OpenAI.NotFoundError)
  })
})

describe('messages', () => {
  const message = { model: 'claude-sonnet-5', max_tokens: 200, messages: question }

  it('answers and streams', async () => {
    const answer = await anthropic.messages.create(message)
    assert.equal(answer.stop_reason, 'end_turn')
    assert.equal(answer.usage.output_tokens, lastServed().usage?.output)
    const final = await anthropic.messages.stream({ ...message, max_tokens: 9 }).finalMessage()
    assert.equal(final.stop_reason, 'max_tokens')
    assert.equal(final.usage.output_tokens, 9)
    assert.equal(lastServed().unitsSent, 9)
  })

  it('counts', async () => {
    const { max_tokens: _, ...rest } = message
    assert.equal((await anthropic.messages.countTokens(rest)).input_tokens, 4)
    assert.equal(lastServed().usage, undefined)
  })
})

describe('on request', () => {
  it('refuses a wrong credential in both shapes', async () => {
    const wrong = { apiKey: 'sk-wrong', maxRetries: 0 }
    await assert.rejects(
      new OpenAI({ ...wrong, baseURL: `${upstream.url}/v1` }).models.list(),
      OpenAI.AuthenticationError,
    )
    await assert.rejects(
      new Anthropic({ ...wrong, baseURL: upstream.url }).messages.create({
        model: 'c',
        max_tokens: 1,
        messages: question,
      }),
      Anthropic.AuthenticationError,
    )
  })

  it('answers with an error, by header and by model name', async () => {
    const ask = (model: string, behaviour?: string) =>
      openai.chat.completions.create({ model, messages: question }, behaviour ? simulate(behaviour) : {})
    await assert.rejects(ask('gpt-4o@status=429,retry-after=2'), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError)
      assert.equal(error.headers?.get('retry-after'), '2')
      return error.code === 'rate_limit_exceeded'
    })
    await assert.rejects(ask('gpt-4o', '{"status":500}'), OpenAI.InternalServerError)
    await assert.rejects(
      anthropic.messages.create({ model: 'c@status=529', max_tokens: 1, messages: question }),
      (error) =>
        error instanceof Anthropic.APIError && error.status === 529 && error.type === 'overloaded_error',
    )
    assert.equal(lastServed().usage, undefined)
    await assert.rejects(ask('gpt-4o', 'bad-json'))
  })

  it('breaks off in mid-stream, having sent what it says', async () => {
    const stream = await openai.chat.completions.create(
      { model: 'gpt-4o', messages: question, stream: true },
      simulate('cut-after=5'),
    )
    let units = 0
    await assert.rejects(async () => {
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) units += 1
    })
    assert.equal(units, 5)
    const { unitsSent, isCut, isClientGone, usage } = lastServed()
    assert.deepEqual(
      { unitsSent, isCut, isClientGone, usage },
      { unitsSent: 5, isCut: true, isClientGone: false, usage: undefined },
    )
  })

  it('breaks off a whole answer', async () => {
    await assert.rejects(
      openai.chat.completions.create({ model: 'gpt-4o', messages: question }, simulate('cut-after=0')),
    )
    assert.equal(lastServed().usage, undefined)
  })

  it('notes a client that leaves, whether it hangs or streams', async () => {
    for (const behaviour of ['hang', 'hang-after=3']) {
      const leaving = AbortSignal.timeout(80)
      await assert.rejects(async () => {
        const options = { ...simulate(behaviour), signal: leaving }
        const stream = await openai.chat.completions.create(
          { model: 'm', messages: question, stream: true },
          options,
        )
        for await (const _ of stream);
        leaving.throwIfAborted()
      })
      while (lastServed().endedAt === undefined) await setTimeout(5)
      assert.equal(lastServed().isClientGone, true)
      assert.equal(lastServed().unitsSent, behaviour === 'hang' ? 0 : 3)
    }
  })

  it('compresses, and the clients do not notice', async () => {
    const answer = await openai.chat.completions.create({ model: 'm@gzip', messages: question })
    const stream = await openai.chat.completions.create({ model: 'm@gzip', messages: question, stream: true })
    const text = (await collect(stream)).map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    assert.equal(text, answer.choices[0]?.message.content)
  })

  const accidents = [
    'split=7',
    'merge=4',
    'eol=crlf',
    'eol=cr; split=3',
    'comments',
    'cumulative-usage',
    'no-usage',
  ]
  for (const behaviour of accidents) {
    it(`is metered as it says with ${behaviour}`, async () => {
      for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/messages']) {
        const body = {
          ...(path === '/v1/responses' ? { input: 'hello' } : { messages: question }),
          model: 'm',
          stream: true,
          ...(path === '/v1/chat/completions' && { stream_options: { include_usage: true } }),
        }
        const chunks = await rawAnswer(path, body, `${behaviour}; cached=1; cache-written=1; reasoning=2`)
        if (behaviour.includes('split')) assert.ok(chunks.length > 50, `${chunks.length} chunks`)
        const meter = endpointAt(path).openStream({ withholdsUsage: false })
        for (const chunk of chunks) meter.push(chunk)
        meter.end()
        assert.deepEqual(meter.usage(), lastServed().usage, path)
        assert.equal(meter.isComplete(), behaviour !== 'no-usage', path)
        assert.ok(meter.passed().output >= lastServed().unitsSent)
      }
    })
  }
})
