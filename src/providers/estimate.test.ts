import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { noFactors } from '#core/input-kinds.ts'
import { readMembers, scanMembers } from '#lib/json-members.ts'
import { boundEstimate, type EstimateMode, unitsByKind, usualEstimate } from './estimate.ts'
import { inputMembers } from './input-members.ts'
import { measureInput } from './input-size.ts'

async function sizeOf(text: string, model = 'gpt-4o') {
  const body = Buffer.from(text)
  const reading = await scanMembers(body)
  return reading.kind === 'read'
    ? measureInput(body, reading.value, model, inputMembers)
    : assert.fail(reading.message)
}

async function estimateOf(text: string, mode: EstimateMode = 'usual', model = 'gpt-4o'): Promise<number> {
  const size = await sizeOf(text, model)
  return mode === 'bound' ? boundEstimate(size, model) : usualEstimate(unitsByKind(size, model), noFactors)
}

async function unitsOf(body: unknown, model = 'gpt-4o') {
  return unitsByKind(await sizeOf(JSON.stringify(body), model), model)
}

const ofBody = (body: unknown, mode?: EstimateMode, model?: string) =>
  estimateOf(JSON.stringify(body), mode, model)
const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251))
const base64Of = (...head: readonly number[]) => Buffer.concat([Buffer.from(head), bytes]).toString('base64')
const base64 = bytes.toString('base64')
const png = base64Of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const pdf = Buffer.concat([Buffer.from('%PDF-1.7'), bytes]).toString('base64')
const say = (...content: readonly unknown[]) => ({ messages: [{ role: 'user', content }] })

describe('usual estimate', () => {
  const cases: readonly (readonly [string, unknown, number])[] = [
    ['ASCII by four', { input: 'x'.repeat(398) }, 100],
    ['rounds up once, over all members', { input: 'x'.repeat(3), instructions: 'y'.repeat(1) }, 2],
    ['Chinese by three', { input: '語'.repeat(100) }, 101],
    [
      'no scalars and no settings',
      { model: 'gpt-4o', n: 3, user: 'u'.repeat(99), metadata: { a: 'b'.repeat(99) } },
      0,
    ],
    ['an escape is one character', { input: '\n'.repeat(398) }, 100],
    ['numbers are units already', { input: [1, 22, 333] }, 3],
    ['lists of numbers too', { prompt: [[1, 2], [3]] }, 3],
  ]
  for (const [name, body, expected] of cases) it(name, async () => assert.equal(await ofBody(body), expected))

  it('counts escaped characters as the bytes they stand for', async () => {
    assert.equal(await estimateOf(`{"input":"${'\\u8a9e'.repeat(100)}"}`), 101)
  })

  it('counts text behind a number in a list', async () => {
    assert.ok((await ofBody({ input: [1, 'x'.repeat(400)] })) >= 400)
  })
})

describe('parts that are no text', () => {
  const image = `data:image/png;base64,${base64}`
  const images: readonly (readonly [string, unknown])[] = [
    ['an image as a data URL', { type: 'image_url', image_url: { url: image } }],
    ['an image by its address', { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }],
    ['an image, flat', { type: 'input_image', image_url: image }],
    [
      'an image in base64',
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: base64 } },
    ],
    ['an image, its type last', { image_url: { url: image }, type: 'image_url' }],
    ['an image whose type is not known, by its first bytes', { kind: 'picture', data: png }],
  ]
  for (const [name, part] of images) {
    it(`counts ${name} at its amount`, async () => {
      const { images: units, plain, documents, audio, sealed } = await unitsOf(say(part))
      assert.deepEqual([units, documents, audio, sealed], [1600, 0, 0, 0])
      assert.ok(plain < 80, `${plain}`)
    })
  }

  const documents: readonly (readonly [string, unknown, number])[] = [
    [
      'a file',
      { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` } },
      1600 + pdf.length / 100,
    ],
    ['a stored file', { type: 'input_file', file_id: 'file-abc' }, 1600],
    [
      'a document in base64',
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: pdf } },
      1600 + pdf.length / 100,
    ],
  ]
  for (const [name, part, expected] of documents) {
    it(`counts ${name} by its size`, async () => {
      const units = await unitsOf(say(part))
      assert.deepEqual([units.documents, units.images, units.sealed], [expected, 0, 0])
    })
  }

  it('counts sound by its size, also where its bytes do not say what they are', async () => {
    for (const data of [base64, base64Of(0x49, 0x44, 0x33)]) {
      const units = await unitsOf(say({ type: 'input_audio', input_audio: { data, format: 'pcm16' } }))
      assert.deepEqual([units.audio, units.images, units.sealed], [100 + data.length / 2000, 0, 0])
    }
  })

  it('adds the parts up', async () => {
    const part = { type: 'image_url', image_url: { url: image } }
    assert.equal((await unitsOf(say(part, part, part))).images, 3 * 1600)
  })

  it('knows models for which an image costs more', async () => {
    const body = say({ type: 'image_url', image_url: { url: image } })
    assert.equal((await unitsOf(body, 'gpt-4o-mini-2024-07-18')).images, 2833 + 2 * 5667)
    assert.equal((await unitsOf(body, 'gpt-5-mini')).images, 2500)
    assert.equal((await unitsOf(body, 'claude-sonnet-5')).images, 1600)
  })

  it('takes text for text, whatever it looks like', async () => {
    for (const text of [image, base64, `{"type":"image_url","url":"${image}"}`]) {
      const units = await ofBody(say({ type: 'text', text }))
      assert.ok(units > 90_000 && units < 110_000, `${units}`)
    }
    const hidden = { type: 'document', source: { type: 'text', data: `${base64} and then words` } }
    assert.ok((await ofBody({ messages: [hidden] })) > 90_000)
  })

  it('hides no text behind a name under which base64 stands', async () => {
    const words = 'a'.repeat(400_000)
    for (const hidden of [{ data: words }, { signature: words }]) {
      const units = await ofBody(say({ type: 'tool_use', id: 'x', name: 'look', input: hidden }))
      assert.ok(units > words.length / 6, `${units}`)
    }
  })
})

describe('tools', () => {
  const parameters = { type: 'object', properties: { url: { type: 'string' }, image: { type: 'string' } } }
  const schema = { name: 'look', description: 'Looks at a page.', input_schema: parameters }

  it('does not take a schema that speaks of images for one', async () => {
    const units = await unitsOf({ tools: [{ type: 'function', function: { name: 'look', parameters } }] })
    assert.ok(units.tools < 60 && units.images === 0 && units.plain === 0, JSON.stringify(units))
  })

  it('adds what Claude is told of tools, once', async () => {
    const one = await unitsOf({ ...say(), tools: [schema] }, 'claude-sonnet-5')
    const two = await unitsOf({ ...say(), tools: [schema, schema] }, 'claude-sonnet-5')
    assert.ok(one.tools > 500 && one.tools < 560, `${one.tools}`)
    assert.ok(two.tools - one.tools < 60, `${two.tools}`)
    assert.equal(one.serverTools, 0)
    assert.ok((await unitsOf({ ...say(), tools: [schema] }, 'gpt-4o')).tools < 60)
    assert.equal((await unitsOf({ ...say(), tools: [] }, 'claude-sonnet-5')).tools < 2, true)
  })

  const servers: readonly (readonly [string, unknown, number])[] = [
    ['a search of Claude', { tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 3 }] }, 1],
    ['tools beside functions', { tools: [schema, { type: 'web_search' }, { type: 'code_interpreter' }] }, 2],
    [
      'a server of tools',
      {
        mcp_servers: [{ type: 'url', url: 'https://example.com/mcp', name: 'docs' }],
        tools: [{ type: 'mcp_toolset', mcp_server_name: 'docs' }],
      },
      1,
    ],
    ['a search that is no tool', { web_search_options: {} }, 1],
    ['a plug-in', { plugins: [{ id: 'web' }] }, 1],
    ['none, where it is the client that runs it', { tools: [{ type: 'bash_20250124', name: 'bash' }] }, 0],
    ['none, of an example in a schema', { tools: [{ ...schema, example: { type: 'web_search' } }] }, 0],
  ]
  for (const [name, body, expected] of servers) {
    it(`counts what the provider runs: ${name}`, async () => {
      assert.equal((await unitsOf(body, 'claude-sonnet-5')).serverTools, expected * 2500)
    })
  }

  it('adds what a tool of the client takes that the model knows by name', async () => {
    const { tools } = await unitsOf({ tools: [{ type: 'bash_20250124', name: 'bash' }] }, 'claude-sonnet-5')
    assert.ok(tools > 1100 && tools < 1130, `${tools}`)
  })
})

describe('what the provider has sealed', () => {
  const sealed = (length: number) => `gAAAAAB${'xY_-'.repeat(length / 4)}`.slice(0, length)
  const reasoning = (length: number) => ({
    type: 'reasoning',
    id: 'rs_1',
    summary: [{ type: 'summary_text', text: 'A long summary. '.repeat(100) }],
    encrypted_content: sealed(length),
  })
  const user = { role: 'user', content: 'And now?' }
  const call = { type: 'function_call_output', call_id: 'c', output: '12' }

  it('counts the reasoning since the user last spoke, by what its bytes can hold, and not its summary', async () => {
    const units = await unitsOf({ input: [user, reasoning(6500), call] }, 'gpt-5')
    assert.equal(units.sealed, 1000)
    assert.ok(units.plain < 60, `${units.plain}`)
  })

  it('counts nothing for that of earlier turns, unless the request asks for it', async () => {
    const input = [user, reasoning(40_000), call, user]
    assert.ok((await ofBody({ input }, 'usual', 'gpt-5')) < 80)
    const all = await unitsOf({ input, reasoning: { context: 'all_turns' } }, 'gpt-5.5')
    assert.equal(all.sealed, 39_000 / 5.5)
  })

  it('finds the type wherever it stands', async () => {
    const { type, ...rest } = reasoning(40_000)
    assert.ok((await ofBody({ input: [user, { ...rest, type }, user] }, 'usual', 'gpt-5')) < 80)
  })

  it('counts a compaction of OpenAI by what it holds, wherever the user speaks', async () => {
    const compaction = { type: 'compaction', id: 'cmp_1', encrypted_content: sealed(2400) }
    const input = [compaction, reasoning(5000), user]
    const units = await unitsOf({ input }, 'gpt-5')
    assert.equal(Math.round(units.sealed), Math.round(1400 / 5.5))
  })

  it('counts signatures and hidden thinking of Claude by the same rule', async () => {
    const parts = [
      { type: 'thinking', thinking: 'Hm. '.repeat(100), signature: sealed(900) },
      { type: 'redacted_thinking', data: sealed(2100) },
    ]
    const units = await unitsOf({ messages: [{ role: 'assistant', content: parts }] }, 'claude-opus-5')
    assert.deepEqual([units.sealed, units.images], [200, 0])
    assert.ok(units.plain > 100 && units.plain < 180, `${units.plain}`)
  })

  it('takes what a search of Claude has found for the text that it is', async () => {
    const result = { type: 'web_search_result', url: 'https://example.com', encrypted_content: sealed(4000) }
    const units = await unitsOf(say({ type: 'web_search_tool_result', content: [result] }), 'claude-opus-5')
    assert.ok(units.plain > 1000 && units.sealed === 0, JSON.stringify(units))
  })
})

describe('history before a compaction of Claude', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }
  const old = { role: 'user', content: [{ type: 'text', text: 'long ago '.repeat(50_000) }, image] }
  const summary = { type: 'compaction', content: 'They spoke of tollgates. '.repeat(20) }
  const rest = [{ role: 'user', content: [{ type: 'text', text: 'Go on.' }] }]
  const bodyOf = (block: unknown) => ({
    system: 'Be brief.',
    messages: [old, { role: 'assistant', content: [block, { type: 'text', text: 'Yes.' }] }, ...rest],
  })

  it('is not counted, wherever the block says its type', async () => {
    const { type, content } = summary
    for (const block of [summary, { content, type }]) {
      const units = await unitsOf(bodyOf(block), 'claude-sonnet-5')
      assert.ok(units.plain > 125 && units.plain < 200 && units.images === 0, JSON.stringify(units))
    }
  })

  it('counts from the last block on', async () => {
    const { messages } = bodyOf(summary)
    const units = await unitsOf({ messages: [...messages, old, ...messages] }, 'claude-sonnet-5')
    assert.ok(units.plain < 200, `${units.plain}`)
  })

  const others: readonly (readonly [string, unknown, string])[] = [
    ['the block is empty', bodyOf({ type: 'compaction', content: null }), 'claude-sonnet-5'],
    ['the model knows no such block', bodyOf(summary), 'llama-4'],
    [
      'it only stands in the input of a tool',
      bodyOf({ type: 'tool_use', id: 'x', name: 'f', input: summary }),
      'claude-sonnet-5',
    ],
    ['it only stands in a text', bodyOf({ type: 'text', text: JSON.stringify(summary) }), 'claude-sonnet-5'],
  ]
  for (const [name, body, model] of others) {
    it(`is counted where ${name}`, async () => {
      const units = await unitsOf(body, model)
      assert.ok(units.plain > 100_000 && units.images > 0, JSON.stringify(units))
    })
  }
})

describe('whether all stands in the body', () => {
  const cases: readonly (readonly [unknown, boolean])[] = [
    [{ input: 'x' }, true],
    [{ input: 'x', previous_response_id: null }, true],
    [{ input: 'x', previous_response_id: 'resp_1' }, false],
    [{ input: 'x', conversation: { id: 'conv_1' } }, false],
    [{ input: 'x', prompt: { id: 'pmpt_1' } }, false],
    [{ prompt: 'x' }, true],
  ]
  for (const [body, expected] of cases) {
    it(`${expected ? 'does' : 'does not'}: ${JSON.stringify(body)}`, async () =>
      assert.equal((await sizeOf(JSON.stringify(body))).isWhole, expected))
  }
})

describe('bound estimate', () => {
  it('is never below the usual one, and counts each byte of text and payload', async () => {
    const tree = fc.record({
      messages: fc.jsonValue({ stringUnit: 'binary' }),
      tools: fc.jsonValue({ stringUnit: 'binary' }),
      system: fc.string({ unit: 'binary' }),
    })
    await fc.assert(
      fc.asyncProperty(tree, fc.constantFrom('gpt-5', 'claude-x'), async (body, model) => {
        const bound = await ofBody(body, 'bound', model)
        assert.ok(bound >= (await ofBody(body, 'usual', model)))
        assert.ok(bound >= Buffer.byteLength(body.system))
      }),
    )
    assert.ok((await ofBody({ messages: [{ image_url: { url: base64 } }] }, 'bound')) > base64.length)
  })

  it('has room for a model’s own template, and for the dearest image', async () => {
    assert.ok((await ofBody(say({ type: 'text', text: 'Hi' }), 'bound', 'gpt-oss-20b')) > 120)
    const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }
    assert.ok((await ofBody(say(image), 'bound', 'gpt-4o-mini')) >= 2833 + 8 * 5667)
    assert.ok((await ofBody(say(image), 'bound', 'qwen3-vl')) >= 16_384)
  })

  it('counts history that a summary stands for, since another server may read it', async () => {
    const content = [{ type: 'compaction', content: 'x' }]
    const messages = [
      { role: 'user', content: 'y'.repeat(10_000) },
      { role: 'assistant', content },
    ]
    assert.ok((await ofBody({ messages }, 'bound', 'claude-sonnet-5')) > 10_000)
  })
})

it('gives the same answer wherever a slice ends', async () => {
  const text = 'word \n "語" '.repeat(40_000)
  const whole = await ofBody({ messages: [{ content: text }] })
  const pieces = await ofBody({ messages: Array.from({ length: 40_000 }, () => 'word \n "語" ') })
  assert.ok(Math.abs(whole - 40_000 * ((9 + 1) / 4 + 1)) < 40_001, `${whole}`)
  assert.ok(pieces > whole)
})

it('looks at whole objects in the same way wherever a slice ends', async () => {
  const filler = { role: 'user', content: [{ type: 'text', text: 'old words '.repeat(5_000) }] }
  const block = { type: 'compaction', content: 'short' }
  const rest = { role: 'user', content: [{ type: 'text', text: 'new' }] }
  for (let shift = 0; shift < 130; shift += 1) {
    const pad = { role: 'user', content: 'p'.repeat(shift + 81_000) }
    const messages = [filler, pad, { role: 'assistant', content: [block] }, rest]
    const { plain } = await unitsOf({ messages }, 'claude-sonnet-5')
    assert.ok(plain < 60, `${shift}: ${plain}`)
  }
})

it('lets the event loop turn on a large body', async () => {
  for (const value of ['x'.repeat(20_000_000), [{ type: 'image', data: 'x'.repeat(20_000_000) }]]) {
    const body = Buffer.from(JSON.stringify({ input: value }))
    const reading = readMembers(body)
    let turns = 0
    const timer = setInterval(() => (turns += 1), 0)
    if (reading.kind === 'read') await measureInput(body, reading.value, 'gpt-5', inputMembers)
    clearInterval(timer)
    assert.ok(turns > 3, `${turns} turns`)
  }
})
