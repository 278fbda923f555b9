import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noFactors } from '#core/input-kinds.ts'
import { scanMembers } from '#lib/json-members.ts'
import { anthropic } from './anthropic/provider.ts'
import { unitsByKind, usualEstimate } from './estimate.ts'
import { measureInput } from './input-size.ts'
import { openai } from './openai/provider.ts'
import type { Provider } from './provider.ts'

async function unitsOf(body: unknown, model = 'gpt-4o', provider: Provider = openai) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const reading = await scanMembers(bytes)
  if (reading.kind !== 'read') return assert.fail(reading.message)
  return unitsByKind(await measureInput(bytes, reading.value, model, provider.inputMembers), model)
}

const estimateOf = async (body: unknown, model?: string) =>
  usualEstimate(await unitsOf(body, model), noFactors)

const words = 'a'.repeat(400_000)
const png = `iVBORw0KGgo${words}`
const url = `data:image/png;base64,${words}`
const say = (...content: readonly unknown[]) => ({ messages: [{ role: 'user', content }] })
const schema = { type: 'object', properties: { a: { type: 'string', data: png, enum: [png] } } }

describe('text that looks like a part', () => {
  const hidden: readonly (readonly [string, unknown])[] = [
    ['the input of a tool', say({ type: 'tool_use', id: 'x', name: 'f', input: { data: png } })],
    ['a signature there', say({ type: 'tool_use', id: 'x', name: 'f', input: { signature: words } })],
    [
      'a part there',
      say({ type: 'tool_use', input: { content: [{ type: 'image', source: { data: png } }] } }),
    ],
    ['a part in a list there', say({ type: 'tool_use', input: [{ type: 'image', source: { data: png } }] })],
    ['input named with an escape', `{"messages":[{"content":[{"inp\\u0075t":{"url":"${url}"}}]}]}`],
    ['input before much space', `{"messages":[{"content":[{"input"${' '.repeat(99)}:{"url":"${url}"}}]}]}`],
    ['a schema of a tool', { tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] }],
    ['a schema in the other protocol', { tools: [{ name: 'f', input_schema: schema }] }],
    ['a tool itself', { tools: [{ name: 'f', data: png }] }],
    ['a function', { functions: [{ name: 'f', parameters: schema, url }] }],
    [
      'the schema of the answer',
      { response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } },
    ],
    ['the schema of the answer, flat', { text: { format: { type: 'json_schema', data: png } } }],
    [
      'arguments',
      {
        messages: [
          { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { data: png } } }] },
        ],
      },
    ],
    ['a call', { messages: [{ role: 'assistant', tool_calls: [{ type: 'function', function: { url } }] }] }],
    ['arguments of an item', { input: [{ type: 'function_call', name: 'f', arguments: { data: png } }] }],
    ['an item of a call', { input: [{ type: 'function_call', name: 'f', data: png }] }],
    ['a result', say({ type: 'tool_result', content: [{ type: 'text', text: 'a', data: png }] })],
    ['a result with its type last', say({ type: 'tool_result', content: [{ data: png, type: 'text' }] })],
    ['a result that is no list', say({ type: 'tool_result', content: { data: png } })],
    ['the output of a call', { input: [{ type: 'function_call_output', output: { data: png } }] }],
    ['a message that is no list', { messages: [{ role: 'user', content: { url } }] }],
    ['a document of text', say({ type: 'document', source: { type: 'text', data: png } })],
    ['a document of text, its type last', say({ source: { data: png, type: 'text' }, type: 'document' })],
    ['a signature of a part of text', say({ type: 'text', text: 'a', signature: words })],
    ['a signature without a type', say({ signature: words })],
    [
      'a reasoning without what it is sealed with',
      { input: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: words }] }] },
    ],
    [
      'a reasoning that is longer than what it is sealed with',
      { input: [{ type: 'reasoning', summary: [words], encrypted_content: 'xY_-'.repeat(99) }] },
    ],
    ['metadata', { instructions: 'a', settings: { image_url: url } }],
    ['the system prompt', { system: [{ type: 'text', text: 'a', data: png }] }],
  ]
  for (const [name, body] of hidden) {
    it(`is text: ${name}`, async () => {
      const units = await estimateOf(body)
      assert.ok(units >= words.length / 4, `${units}`)
    })
  }

  const texts = [
    ['a media type', `data:text/plain;base64,${Buffer.from('語'.repeat(100_000)).toString('base64')}`],
    ['its bytes', Buffer.from('Words. '.repeat(60_000)).toString('base64')],
    [
      'its bytes, whatever the URL says',
      `data:application/octet-stream;base64,${Buffer.from('Words. '.repeat(60_000)).toString('base64')}`,
    ],
  ] as const
  for (const [name, file_data] of texts) {
    it(`is text: a file of text, by ${name}`, async () => {
      assert.ok((await estimateOf(say({ type: 'file', file: { filename: 'a', file_data } }))) >= 100_000)
    })
  }

  it('does not stand for parts', async () => {
    const { images, documents } = await unitsOf(
      say({ type: 'tool_use', input: { a: [{ type: 'image' }, { type: 'document' }] } }),
    )
    assert.deepEqual([images, documents], [0, 0])
  })
})

describe('parts where the protocol puts them', () => {
  const image = { type: 'input_image', image_url: url }
  const parts: readonly (readonly [string, unknown])[] = [
    [
      'in a result',
      say({ type: 'tool_result', content: [{ type: 'image', source: { type: 'base64', data: png } }] }),
    ],
    ['in the output of a call', { input: [{ type: 'function_call_output', output: [image] }] }],
    [
      'on a screen',
      { input: [{ type: 'computer_call_output', output: { image_url: url, type: 'computer_screenshot' } }] },
    ],
    ['among the variables of a prompt', { prompt: { id: 'pmpt_1', variables: { picture: image } } }],
    ['in a picture to edit', { prompt: 'a', images: [{ image_url: url }] }],
    [
      'named with escapes',
      `{"messages":[{"content":[{"t\\u0079pe":"im\\u0061ge_url","image_url":{"url":"https://x/a"}}]}]}`,
    ],
    ['after a tool’s input', say({ type: 'tool_use', input: { a: [{}] } }, image)],
  ]
  for (const [name, body] of parts) {
    it(`are counted as such: ${name}`, async () => {
      const { images, plain } = await unitsOf(body)
      assert.ok(images === 1600 && plain < 100, `${images} ${plain}`)
    })
  }

  it('are counted as such: signatures of calls', async () => {
    const sealed = 'gAAAAAB'.repeat(1000)
    for (const call of [
      {
        type: 'function',
        function: { name: 'f', arguments: '{}' },
        extra_content: { google: { thought_signature: sealed } },
      },
      { type: 'function', function: { provider_specific_fields: { thought_signature: sealed } } },
    ]) {
      const units = await unitsOf({ messages: [{ role: 'assistant', tool_calls: [call] }] })
      assert.ok(units.sealed === 6000 / 5.5 && units.plain < 100, JSON.stringify(units))
    }
  })
})

describe('sealed content in short pieces', () => {
  it('is not free, however many there are', async () => {
    const thinking = { type: 'thinking', thinking: '', signature: 'xY_-'.repeat(990 / 4) }
    const hidden = { type: 'redacted_thinking', data: '-_xY'.repeat(990 / 4) }
    for (const part of [thinking, hidden]) {
      const { sealed } = await unitsOf(say(...Array.from({ length: 850 }, () => part)), 'claude-opus-5')
      assert.ok(sealed > 140_000, `${sealed}`)
      assert.equal((await unitsOf(say(part, part), 'claude-opus-5')).sealed, 0)
    }
  })

  it('is counted whole beyond the heads of the first pieces', async () => {
    const item = { type: 'reasoning', encrypted_content: 'xY_-'.repeat(500) }
    const { sealed } = await unitsOf({ input: Array.from({ length: 100 }, () => item) }, 'gpt-5')
    assert.equal(sealed, (100 * 2000 - 16 * 1000) / 5.5)
  })
})

it('counts history before a compaction where the protocol defines none', async () => {
  const messages = [
    { role: 'user', content: [{ type: 'text', text: words }] },
    { role: 'assistant', content: [{ type: 'compaction', content: 'x' }] },
  ]
  assert.ok((await unitsOf({ messages }, 'claude-opus-5', openai)).plain > 100_000)
  assert.ok((await unitsOf({ messages }, 'claude-opus-5', anthropic)).plain < 40)
})
