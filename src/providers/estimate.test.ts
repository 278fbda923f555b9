import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readMembers, scanMembers } from '#lib/json-members.ts'
import { type EstimateMode, estimateInput, partUnits } from './estimate.ts'

async function estimateOf(text: string, mode: EstimateMode = 'usual'): Promise<number> {
  const body = Buffer.from(text)
  const reading = await scanMembers(body)
  return reading.kind === 'members'
    ? estimateInput(body, reading.members, mode)
    : assert.fail(reading.message)
}

const ofBody = (body: unknown, mode?: EstimateMode) => estimateOf(JSON.stringify(body), mode)
const base64 = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251)).toString('base64')

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

  const data = `data:image/png;base64,${base64}`
  const parts: readonly (readonly [string, unknown])[] = [
    ['an image as a data URL', { type: 'image_url', image_url: { url: data } }],
    ['an image by its address', { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }],
    ['an image, flat', { type: 'input_image', image_url: data }],
    [
      'an image in base64',
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: base64 } },
    ],
    [
      'a file',
      { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${base64}` } },
    ],
    ['a stored file', { type: 'input_file', file_id: 'file-abc' }],
    ['sound', { type: 'input_audio', input_audio: { data: base64, format: 'wav' } }],
    ['an image, its type last', { image_url: { url: data }, type: 'image_url' }],
    ['an image whose type is not known', { kind: 'picture', data: base64 }],
  ]
  for (const [name, part] of parts) {
    it(`counts a fixed amount for ${name}`, async () => {
      const units = await ofBody({ messages: [{ role: 'user', content: [part] }] })
      assert.ok(units >= partUnits && units < partUnits + 80, `${units}`)
    })
  }

  it('adds the parts up', async () => {
    const image = { type: 'image_url', image_url: { url: data } }
    const units = await ofBody({ messages: [{ role: 'user', content: [image, image, image] }] })
    assert.ok(units >= 3 * partUnits && units < 3 * partUnits + 120, `${units}`)
  })

  it('takes text for text, whatever it looks like', async () => {
    for (const text of [data, base64, `{"type":"image_url","url":"${data}"}`]) {
      const units = await ofBody({ messages: [{ role: 'user', content: [{ type: 'text', text }] }] })
      assert.ok(units > 90_000 && units < 110_000, `${units}`)
    }
    const hidden = { type: 'document', source: { type: 'text', data: `${base64} and then words` } }
    assert.ok((await ofBody({ messages: [hidden] })) > 90_000)
  })

  it('does not take a schema that speaks of images for one', async () => {
    const parameters = { type: 'object', properties: { url: { type: 'string' }, image: { type: 'string' } } }
    assert.ok((await ofBody({ tools: [{ type: 'function', function: { name: 'look', parameters } }] })) < 60)
  })
})

describe('bound estimate', () => {
  it('is never below the usual one, and counts each byte of text and payload', async () => {
    const tree = fc.record({
      messages: fc.jsonValue({ stringUnit: 'binary' }),
      system: fc.string({ unit: 'binary' }),
    })
    await fc.assert(
      fc.asyncProperty(tree, async (body) => {
        const bound = await ofBody(body, 'bound')
        assert.ok(bound >= (await ofBody(body)))
        assert.ok(bound >= Buffer.byteLength(body.system))
      }),
    )
    assert.ok(
      (await ofBody({ messages: [{ image_url: { url: base64 } }] }, 'bound')) > base64.length + partUnits,
    )
  })
})

it('gives the same answer wherever a slice ends', async () => {
  const text = 'word \n "語" '.repeat(40_000)
  const whole = await ofBody({ messages: [{ content: text }] })
  const pieces = await ofBody({ messages: Array.from({ length: 40_000 }, () => 'word \n "語" ') })
  assert.ok(Math.abs(whole - 40_000 * ((9 + 1) / 4 + 1)) < 40_001, `${whole}`)
  assert.ok(pieces > whole)
})

it('lets the event loop turn on a large body', async () => {
  for (const value of ['x'.repeat(20_000_000), [{ type: 'image', data: 'x'.repeat(20_000_000) }]]) {
    const body = Buffer.from(JSON.stringify({ input: value }))
    const reading = readMembers(body)
    let turns = 0
    const timer = setInterval(() => (turns += 1), 0)
    if (reading.kind === 'members') await estimateInput(body, reading.members, 'usual')
    clearInterval(timer)
    assert.ok(turns > 3, `${turns} turns`)
  }
})
