import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readMembers } from '#lib/json-members.ts'
import { findClaimant, findProvider, providers } from './all.ts'
import { applyEdits } from './body-edits.ts'
import type { Endpoint, ModelRequest, RequestChanges } from './provider.ts'

const [chat, completions, responses, embeddings, messages, count] = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/embeddings',
  '/v1/messages',
  '/v1/messages/count_tokens',
] as const

function endpointAt(path: string): Endpoint {
  return (
    providers.flatMap(({ endpoints }) => endpoints).find((each) => each.path === path) ?? assert.fail(path)
  )
}

function membersOf(body: Buffer) {
  const reading = readMembers(body)
  return reading.kind === 'members' ? reading.members : assert.fail(reading.message)
}

function read(path: string, members: string): ModelRequest {
  const body = Buffer.from(`{"model":"m"${members && `,${members}`}}`)
  const reading = endpointAt(path).readRequest(body, membersOf(body))
  return reading.kind === 'read' ? reading.request : assert.fail(reading.problem.message)
}

/** The member that the refusal names. */
function refused(path: string, text: string): string | undefined {
  const body = Buffer.from(text)
  const reading = endpointAt(path).readRequest(body, membersOf(body))
  if (reading.kind === 'read') return undefined
  assert.equal(reading.problem.code, 'bad_request')
  assert.ok(reading.problem.message.includes(reading.problem.issues?.[0]?.path ?? '?'))
  return reading.problem.issues?.[0]?.path
}

function edit(path: string, text: string, changes: RequestChanges): string {
  const body = Buffer.from(text)
  return applyEdits(body, endpointAt(path).editsFor(body, membersOf(body), changes)).toString()
}

describe('reading', () => {
  const cases: readonly (readonly [string, string, Partial<ModelRequest>])[] = [
    [
      chat,
      '',
      { model: 'm', isStream: false, output: undefined, choices: 1, hasOutput: true, lacksUsage: false },
    ],
    [chat, '"max_tokens":10,"n":null', { output: 10, choices: 1 }],
    [chat, '"max_tokens":10,"max_completion_tokens":7,"n":3', { output: 21, choices: 3 }],
    [chat, '"max_tokens":null,"max_completion_tokens":0', { output: 0 }],
    [chat, '"stream":true', { isStream: true, lacksUsage: true }],
    [chat, '"stream":true,"stream_options":null', { lacksUsage: true }],
    [chat, '"stream":true,"stream_options":{"include_usage":false}', { lacksUsage: true }],
    [chat, '"stream":true,"stream_options":{"include_usage":true}', { lacksUsage: false }],
    [chat, '"stream":null', { isStream: false }],
    [completions, '"prompt":"a"', { output: 16, choices: 1 }],
    [completions, '"prompt":[1,2,3],"max_tokens":5', { output: 5, choices: 1 }],
    [
      completions,
      '"prompt":["a","b\\\\","c\\""],"max_tokens":5,"n":2,"best_of":4',
      { output: 60, choices: 12 },
    ],
    [completions, '"prompt":[[1,2],[3]],"max_tokens":5', { output: 10, choices: 2 }],
    [completions, '"prompt":[]', { choices: 1 }],
    [completions, '"stream":true', { lacksUsage: true }],
    [responses, '"max_output_tokens":9,"stream":true', { output: 9, isStream: true, lacksUsage: false }],
    [responses, '"background":false,"store":true,"previous_response_id":"resp_1"', { output: undefined }],
    [embeddings, '"input":"a"', { output: 0, hasOutput: false, choices: 1 }],
    [messages, '"max_tokens":5,"stream":true', { output: 5, isStream: true, lacksUsage: false }],
    [messages, '', { output: undefined, hasOutput: true }],
    [count, '"messages":[]', { output: 0, hasOutput: false }],
    // What is beyond the bound of every figure reads as the bound, products as well.
    [chat, '"max_tokens":9007199254740991', { output: 1e12 }],
    [chat, '"max_completion_tokens":1000000000001', { output: 1e12 }],
    [chat, '"max_completion_tokens":500000000001,"n":2', { output: 1e12 }],
    [completions, '"max_tokens":1000000000000,"best_of":2', { output: 1e12 }],
    [completions, '"max_tokens":9007199254740991,"prompt":["a","b"]', { output: 1e12 }],
    [responses, '"max_output_tokens":1e15', { output: 1e12 }],
    [messages, '"max_tokens":9007199254740991', { output: 1e12 }],
  ]
  for (const [path, members, expected] of cases) {
    it(`${path} {${members}}`, () => {
      const request = read(path, members)
      assert.deepEqual({ ...request, ...expected }, request)
    })
  }

  const refusals: readonly (readonly [string, string, string])[] = [
    [chat, '{}', 'model'],
    [chat, '{"model":null}', 'model'],
    [chat, '{"model":""}', 'model'],
    [chat, '{"model":7}', 'model'],
    [chat, '{"model":"a\\nb"}', 'model'],
    [chat, `{"model":"${'m'.repeat(257)}"}`, 'model'],
    [chat, `{"model":"${'m'.repeat(100_000)}"}`, 'model'],
    [chat, '{"model":"m","stream":"yes"}', 'stream'],
    [chat, '{"model":"m","max_tokens":-1}', 'max_tokens'],
    [chat, '{"model":"m","max_tokens":1.5}', 'max_tokens'],
    [chat, '{"model":"m","max_tokens":"9"}', 'max_tokens'],
    [chat, '{"model":"m","max_completion_tokens":1e300}', 'max_completion_tokens'],
    [chat, '{"model":"m","max_completion_tokens":9007199254740993}', 'max_completion_tokens'],
    [chat, '{"model":"m","n":0}', 'n'],
    [chat, '{"model":"m","n":129}', 'n'],
    [chat, '{"model":"m","stream":true,"stream_options":[]}', 'stream_options'],
    [
      chat,
      '{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_usage":false}}',
      'stream_options',
    ],
    [completions, '{"model":"m","best_of":0}', 'best_of'],
    [completions, `{"model":"m","prompt":[${'"a",'.repeat(2048)}"a"]}`, 'prompt'],
    [responses, '{"model":"m","max_output_tokens":-5}', 'max_output_tokens'],
    [responses, '{"model":"m","background":true}', 'background'],
    [embeddings, '{"input":"a"}', 'model'],
    [messages, '{"model":"m","max_tokens":{}}', 'max_tokens'],
    [count, '{}', 'model'],
  ]
  for (const [path, text, member] of refusals) {
    it(`${path} refuses ${text.slice(0, 80)}`, () => assert.equal(refused(path, text), member))
  }
})

describe('editing', () => {
  const cases: readonly (readonly [string, string, RequestChanges, string])[] = [
    [chat, '{"model":"m"}', {}, '{"model":"m"}'],
    [chat, '{"model":"m"}', { outputCap: 5 }, '{"max_completion_tokens":5,"model":"m"}'],
    [
      chat,
      '{ "model":"m","max_completion_tokens": null}',
      { outputCap: 5 },
      '{ "model":"m","max_completion_tokens": 5}',
    ],
    [chat, '{"model":"m"}', { outputCap: 5, outputCapMember: 'max_tokens' }, '{"max_tokens":5,"model":"m"}'],
    [
      chat,
      '{"model":"m","max_completion_tokens":3}',
      { outputCap: 5 },
      '{"model":"m","max_completion_tokens":3}',
    ],
    [chat, '{"model":"m"}', { addsUsage: true }, '{"stream_options":{"include_usage":true},"model":"m"}'],
    [
      chat,
      '{"model":"m"}',
      { addsUsage: true, outputCap: 5 },
      '{"max_completion_tokens":5,"stream_options":{"include_usage":true},"model":"m"}',
    ],
    [
      chat,
      '{"stream_options":null,"model":"m"}',
      { addsUsage: true },
      '{"stream_options":{"include_usage":true},"model":"m"}',
    ],
    [
      chat,
      '{"stream_options":{},"model":"m"}',
      { addsUsage: true },
      '{"stream_options":{"include_usage":true},"model":"m"}',
    ],
    [
      completions,
      '{"stream_options":{"x":1},"model":"m"}',
      { addsUsage: true },
      '{"stream_options":{"include_usage":true,"x":1},"model":"m"}',
    ],
    [
      chat,
      '{"stream_options": {"include_usage" : false},"model":"m"}',
      { addsUsage: true },
      '{"stream_options": {"include_usage" : true},"model":"m"}',
    ],
    [responses, '{"model":"m"}', { outputCap: 5 }, '{"max_output_tokens":5,"model":"m"}'],
    [messages, '{"model":"m"}', { outputCap: 5 }, '{"max_tokens":5,"model":"m"}'],
    [messages, '{"model":"m","max_tokens":null}', { outputCap: 5 }, '{"model":"m","max_tokens":5}'],
    [embeddings, '{"model":"m"}', { outputCap: 5, addsUsage: true }, '{"model":"m"}'],
    [count, '{"model":"m"}', { outputCap: 5 }, '{"model":"m"}'],
  ]
  for (const [path, text, changes, expected] of cases) {
    it(`${path} ${text} ${JSON.stringify(changes)}`, () => assert.equal(edit(path, text, changes), expected))
  }

  it('changes nothing else in any request, and does what it says', () => {
    const rest = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }), {
      maxKeys: 5,
    })
    const options = fc.option(fc.dictionary(fc.constantFrom('include_usage', 'x'), fc.boolean()))
    fc.assert(
      fc.property(rest, options, (more, stream_options) => {
        const body = { ...more, model: 'm', stream: true, stream_options, max_completion_tokens: null }
        const parsed = JSON.parse(
          edit(chat, JSON.stringify(body, null, 1), { addsUsage: true, outputCap: 9 }),
        )
        const expected = {
          ...body,
          max_completion_tokens: 9,
          stream_options: { ...stream_options, include_usage: true },
        }
        assert.deepEqual(parsed, JSON.parse(JSON.stringify(expected)))
        assert.equal(
          read(chat, JSON.stringify({ ...expected, model: undefined }).slice(1, -1)).lacksUsage,
          false,
        )
      }),
    )
  })

  it('refuses edits that overlap', () => {
    const edits = [
      { start: 0, end: 5, text: '' },
      { start: 4, end: 6, text: '' },
    ]
    assert.throws(() => applyEdits(Buffer.from('0123456789'), edits), RangeError)
  })
})

it('finds a protocol by its name and by a request', () => {
  assert.deepEqual(
    providers.map(({ name }) => findProvider(name)?.name),
    providers.map(({ name }) => name),
  )
  assert.equal(findProvider('nobody'), undefined)
  assert.equal(findClaimant({ 'anthropic-version': '2023-06-01' })?.name, 'anthropic')
  assert.equal(findClaimant({})?.name, 'openai')
})
