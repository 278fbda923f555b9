import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readMembers } from '#lib/json-members.ts'
import { findClaimant, findProvider, providers } from './all.ts'
import { applyEdits, renameMember } from './body-edits.ts'
import type { ModelRequest, RequestChanges } from './model-request.ts'
import type { Endpoint } from './provider.ts'

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
  return reading.kind === 'read' ? reading.value : assert.fail(reading.message)
}

function read(path: string, members: string): ModelRequest {
  const body = Buffer.from(`{"model":"m"${members && `,${members}`}}`)
  const reading = endpointAt(path).readRequest(body, membersOf(body))
  return reading.kind === 'read' ? reading.value : assert.fail(reading.problem.message)
}

/** The member that the refusal names. */
function refused(path: string, text: string): string | undefined {
  const body = Buffer.from(text)
  const reading = endpointAt(path).readRequest(body, membersOf(body))
  if (reading.kind === 'read') return undefined
  assert.equal(reading.problem.code, 'bad_request')
  assert.ok(
    reading.problem.message.toLowerCase().includes(reading.problem.issues?.[0]?.path.toLowerCase() ?? '?') ||
      reading.problem.message.includes('spelled'),
  )
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
    // What does not bound an answer counts as absent: some servers take 0 for no bound, others -1.
    [chat, '"max_tokens":null,"max_completion_tokens":0', { output: undefined }],
    [chat, '"max_tokens":-1', { output: undefined }],
    [chat, '"max_tokens":-1,"n_predict":7', { output: 7 }],
    [chat, '"max_tokens":9,"options":{"num_predict":4}', { output: 4 }],
    [chat, '"max_tokens":9,"extra_body":{"options":{"num_predict":3}}', { output: 3 }],
    [chat, '"max_tokens":9,"n_predict":"1","max_new_tokens":0.5,"max_length":[]', { output: 9 }],
    [chat, '"max_tokens":5,"n":2,"best_of":3,"n_cmpl":4', { output: 20, choices: 4 }],
    [chat, '"min_tokens":40', { leastCap: 40 }],
    [chat, '"reasoning":{"max_tokens":2000}', { leastCap: 2001 }],
    [responses, '"max_output_tokens":-5', { output: undefined, leastCap: 16 }],
    [completions, '"max_tokens":0', { output: 1 }],
    [messages, '"max_tokens":0', { output: 1, leastCap: 1 }],
    [messages, '"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":31999}', { leastCap: 32000 }],
    [messages, '"max_tokens":9,"fallbacks":[{"model":"a","max_tokens":5}]', { output: 9 }],
    // A fallback may ask for more answers than the request, and each of them is written.
    [chat, '"fallbacks":[{"model":"a","n":100,"max_tokens":10},{"best_of":7}]', { choices: 100 }],
    [chat, '"max_tokens":9,"n":2,"fallbacks":["a",{"n_cmpl":3}]', { output: 27, choices: 3 }],
    [chat, '"max_tokens":9,"fallbacks":[{"extra_body":{"max_tokens":5}}]', { output: 9 }],
    [completions, '"prompt":["a","b"],"max_tokens":5,"fallbacks":[{"n":3}]', { output: 30, choices: 6 }],
    [
      messages,
      '"tools":[{"name":"f"},{"type":"advisor_20260301","model":"a","max_uses":20,"max_tokens":64000}]',
      { advisor: { uses: 20, output: 64_000 } },
    ],
    [
      chat,
      '"tools":[{"type":"\\u0061dvisor\\u005f1","max_uses":null,"max_tokens":-1}]',
      { advisor: { uses: undefined, output: undefined } },
    ],
    [
      responses,
      '"tools":[{"type":"advisor_1","max_uses":"2"}]',
      { advisor: { uses: undefined, output: undefined } },
    ],
    [messages, '"max_tokens":9,"thinking":{"type":"adaptive"}', { leastCap: 1 }],
    [chat, '"stream":true', { isStream: true, lacksUsage: true }],
    [chat, '"stream":true,"stream_options":null', { lacksUsage: true }],
    [chat, '"stream":true,"stream_options":{"include_usage":false}', { lacksUsage: true }],
    [chat, '"stream":true,"stream_options":{"include_usage":true}', { lacksUsage: false }],
    [chat, '"stream":null', { isStream: false }],
    [completions, '"prompt":"a"', { output: undefined, choices: 1 }],
    [completions, '"prompt":[1,2,3],"max_tokens":5', { output: 5, choices: 1 }],
    [
      completions,
      '"prompt":["a","b\\\\","c\\""],"max_tokens":5,"n":2,"best_of":4',
      { output: 60, choices: 12 },
    ],
    [completions, '"prompt":[[1,2],[3]],"max_tokens":5', { output: 10, choices: 2 }],
    [completions, '"prompt":[]', { choices: 1 }],
    [completions, '"prompt_embeds":["YQ==","YQ==","YQ=="],"max_tokens":5', { output: 15, choices: 3 }],
    [completions, '"prompt":null,"prompt_embeds":["YQ==","YQ=="]', { choices: 2 }],
    [completions, '"prompt":["a","b"],"prompt_embeds":["YQ=="],"n":2', { choices: 6 }],
    [completions, '"prompt":"a","prompt_embeds":null', { choices: 1 }],
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

  const elsewhere: readonly (readonly [string, string, readonly string[], boolean?])[] = [
    [
      chat,
      '"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"model":{}}}}}]',
      [],
    ],
    [messages, '"tools":[{"type":"advisor_20260301","name":"advisor","model":"a"},{"name":"f"}]', ['a']],
    [messages, '"tools":[{"type":"advisor_20260301","\\u006dodel":"a"}]', ['a']],
    [messages, '"tools":[{"type":"advisor_20260301","mode\\u006c":"a"}]', ['a']],
    [chat, '"tools":[{"type":"openrouter:x","parameters":{"model\\u0073":["a"]}}]', ['a']],
    [chat, '"tools":[{"description":"a model, models, of the model"}]', []],
    [responses, '"tools":[{"type":"image_generation","model":"gpt-image-1"}]', ['gpt-image-1']],
    [chat, '"tools":[{"type":"openrouter:advisor","parameters":{"model":"a"}}]', ['a']],
    [chat, '"plugins":[{"id":"fusion","model":"a","analysis_models":["b",{"model":"c"}]}]', ['a', 'b', 'c']],
    [messages, '"fallbacks":[{"model":"a"},{"model":"m"}, null]', ['a']],
    [messages, '"fallbacks":"default"', [], true],
    [chat, '"fallbacks":["a",{"gpt-4":["b"]}]', ['a'], true],
    [chat, '"models":["a","m" , "b"]', ['a', 'b']],
    [chat, '"models":null,"fallbacks":null,"preset":null,"tools":null', []],
    [chat, '"models":[]', []],
    [chat, '"preset":"mine"', [], true],
    [chat, '"fallbacks":[{"model":"a","max_tokens":9}]', ['a']],
    [chat, '"context_window_fallbacks":[{"m":["b"]}]', [], true],
    [chat, '"content_policy_fallbacks":[{"m":["b"]}]', [], true],
    [chat, '"context_window_fallback_dict":{"m":"b"}', [], true],
    [chat, '"user_config":{"model_list":[]}', [], true],
    [chat, '"model_list":[]', [], true],
    [chat, '"fallback_models":["b"]', [], true],
    [chat, '"extra_body":{"Model":"b"}', [], true],
    [chat, '"extra_body":{"top_k":1}', []],
    [chat, '"plugins":[{"id":"web","parameters":{"model":"b"}}]', [], true],
    [chat, '"plugins":[{"id":"web","max_results":3}]', []],
    [chat, '"tools":[{"type":"openrouter:x","parameters":{"advisor":{"model":"b"}}}]', [], true],
  ]
  for (const [path, members, names, isOpen = false] of elsewhere) {
    it(`${path} finds the models named in ${members}`, () =>
      assert.deepEqual(read(path, members).elsewhere, { names, isOpen }))
  }

  it('knows up to where older models of the service take a bound that has to be written', () => {
    const most = (model: string, members = '') => {
      const body = Buffer.from(`{"model":"${model}"${members}}`)
      const reading = endpointAt(chat).readRequest(body, membersOf(body))
      return reading.kind === 'read' ? reading.value.mostCap : assert.fail(reading.problem.message)
    }
    assert.deepEqual(
      ['gpt-4o-mini', 'ft:gpt-4o-mini-2024-07-18:org::1', 'openai/gpt-4o', 'gpt-5.2-chat-latest'].map(
        (model) => most(model),
      ),
      [16_384, 16_384, 16_384, 16_384],
    )
    assert.deepEqual(
      ['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo', 'gpt-4o-2024-05-13'].map((model) => most(model)),
      [4096, 4096, 4096, 4096],
    )
    assert.deepEqual(
      ['gpt-4.1-mini', 'gpt-5', 'o4-mini', 'llama-3'].map((model) => most(model)),
      [undefined, undefined, undefined, undefined],
    )
    assert.equal(most('gpt-4', ',"max_tokens":9'), undefined)
  })

  const refusals: readonly (readonly [string, string, string])[] = [
    [chat, '{}', 'model'],
    [chat, '{"model":null}', 'model'],
    [chat, '{"model":""}', 'model'],
    [chat, '{"model":7}', 'model'],
    [chat, '{"model":"a\\nb"}', 'model'],
    [chat, `{"model":"${'m'.repeat(257)}"}`, 'model'],
    [chat, `{"model":"${'m'.repeat(100_000)}"}`, 'model'],
    [chat, '{"model":"m","stream":"yes"}', 'stream'],
    // Go reads these as if they were spelled right, the last of them as the one that counts.
    [chat, '{"model":"m","Model":"n"}', 'Model'],
    [chat, '{"model":"m","max_tokens":5,"Max_Tokens":500}', 'Max_Tokens'],
    [chat, '{"model":"m","max_to\\u212aens":500}', 'max_to\u212aens'],
    [messages, '{"model":"m","max_token\u017f":500}', 'max_token\u017f'],
    [embeddings, '{"model":"m","MODEL":"n"}', 'MODEL'],
    [chat, '{"model":"m","options":{"num_predict":1,"num_predict":2}}', 'options'],
    [chat, '{"model":"m","models":"a"}', 'models'],
    [chat, '{"model":"m","models":[7]}', 'models'],
    [chat, `{"model":"m","models":["${'a'.repeat(17_000)}"]}`, 'models'],
    [messages, '{"model":"m","tools":[{"model":"a","model":"b"}]}', 'tools'],
    [chat, `{"model":"m","tools":[{"model":"a"},{"x":"${'a'.repeat(600_000)}"}]}`, 'tools'],
    [messages, '{"model":"m","fallbacks":[{"model":"a","model":"b"}]}', 'fallbacks'],
    // Where it is taken for the request's own, it would say something else than what is held.
    [chat, '{"model":"m","extra_body":{"model":"n"}}', 'model'],
    [chat, '{"model":"m","extra_body":{"options":{"n":9}}}', 'n'],
    [chat, '{"model":"m","fallbacks":[{"model":"a","n":129}]}', 'fallbacks'],
    [chat, '{"model":"m","fallbacks":[{"model":"a","N":100}]}', 'fallbacks'],
    [chat, '{"model":"m","fallbacks":[{"model":"a","Max_Tokens":100}]}', 'fallbacks'],
    [chat, '{"model":"m","fallbacks":[{"model":"a","extra_body":{"n":100}}]}', 'n'],
    [chat, '{"model":"m","fallbacks":[{"litellm_params":{"n":1,"n":100}}]}', 'litellm_params'],
    [messages, '{"model":"m","fallbacks":[{"model":"a","tools":[]}]}', 'tools'],
    [completions, '{"model":"m","fallbacks":[{"model":"a","prompt":["b","c"]}]}', 'prompt'],
    [completions, '{"model":"m","Prompt_Embeds":["b","c"]}', 'Prompt_Embeds'],
    [messages, '{"model":"m","tools":[{"type":"advisor_1"},{"type":"advisor_2"}]}', 'tools'],
    [messages, '{"model":"m","tools":[{"type":"custom","type":"advisor_1"}]}', 'tools'],
    [messages, '{"model":"m","tools":[{"type":"advisor_1","max_uses":1,"Max_Uses":9}]}', 'tools'],
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
    [completions, `{"model":"m","prompt":["a"],"prompt_embeds":[${'"a",'.repeat(2047)}"a"]}`, 'prompt'],
    [responses, '{"model":"m","max_output_tokens":-5.5}', 'max_output_tokens'],
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
    [chat, '{"model":"m"}', { outputMost: 5 }, '{"max_tokens":5,"model":"m"}'],
    [chat, '{"model":"m"}', { outputMost: 5, isOfficial: true }, '{"max_completion_tokens":5,"model":"m"}'],
    [
      chat,
      '{ "model":"m","max_completion_tokens": null}',
      { outputMost: 5, isOfficial: true },
      '{ "model":"m","max_completion_tokens": 5}',
    ],
    [
      chat,
      '{"model":"m"}',
      { outputMost: 5, outputCapMember: 'max_completion_tokens' },
      '{"max_completion_tokens":5,"model":"m"}',
    ],
    // Its other name alone: the service itself obeys both, other servers get the one that they obey.
    [
      chat,
      '{"model":"m","max_tokens":5}',
      { outputMost: 5, isOfficial: true },
      '{"model":"m","max_tokens":5}',
    ],
    [chat, '{"model":"m","max_tokens":5}', { outputMost: 5 }, '{"model":"m","max_tokens":5}'],
    [
      chat,
      '{"model":"m","max\\u005fcompletion\\u005ftokens" : 1 }',
      { outputMost: 1 },
      '{"model":"m","max_tokens" : 1 }',
    ],
    [
      chat,
      '{"max_tokens":900,"model":"m"}',
      { outputMost: 5, outputCapMember: 'max_completion_tokens' },
      '{"max_completion_tokens":5,"model":"m"}',
    ],
    // What is configured wins, and still stands alone.
    [
      chat,
      '{"max_completion_tokens":5,"model":"m"}',
      { outputMost: 5, outputCapMember: 'max_tokens', isOfficial: true },
      '{"max_tokens":5,"model":"m"}',
    ],
    [
      chat,
      '{"max_tokens":5,"model":"m"}',
      { outputMost: 5, outputCapMember: 'max_completion_tokens', isOfficial: true },
      '{"max_tokens":5,"model":"m"}',
    ],
    [
      chat,
      '{"max_tokens":-1,"model":"m"}',
      { outputMost: 5, isOfficial: true },
      '{"max_completion_tokens":5,"model":"m"}',
    ],
    [
      chat,
      '{"model":"m","max_completion_tokens":1,"max_tokens":null}',
      { outputMost: 1 },
      '{"model":"m","max_completion_tokens":1,"max_tokens":1}',
    ],
    // All that bound output are lowered, wherever they stand, also those that bound nothing.
    [
      chat,
      '{"max_tokens":7,"max_completion_tokens":3,"n_predict":-1,"max_new_tokens":"9","max_length":null}',
      { outputMost: 3 },
      '{"max_tokens":3,"max_completion_tokens":3,"n_predict":3,"max_new_tokens":3,"max_length":null}',
    ],
    [
      chat,
      '{"model":"m","max_tokens":1,"options":{"num_predict": 9},"extra_body":{"options":{"n_predict":0}}}',
      { outputMost: 2 },
      '{"model":"m","max_tokens":1,"options":{"num_predict": 2},"extra_body":{"options":{"n_predict":2}}}',
    ],
    [
      chat,
      '{"max_tokens":1,"extra_body":{"max_tokens":null}}',
      { outputMost: 2 },
      '{"max_tokens":1,"extra_body":{"max_tokens":2}}',
    ],
    [
      chat,
      '{"max_tokens":1,"fallbacks":["a",{"model":"b","extra_body":{"max_tokens":99999,"options":{"n_predict":null}}}]}',
      { outputMost: 2 },
      '{"max_tokens":1,"fallbacks":["a",{"model":"b","extra_body":{"max_tokens":2,"options":{"n_predict":2}}}]}',
    ],
    [
      chat,
      '{"max_tokens":1,"fallbacks":[{"model":"b","max_tokens":null,"own":9,"litellm_params":{"max_tokens":1}}]}',
      { outputMost: 2, outputCapMember: 'max_tokens' },
      '{"max_tokens":1,"fallbacks":[{"model":"b","max_tokens":2,"own":9,"litellm_params":{"max_tokens":1}}]}',
    ],
    [
      chat,
      '{"max_tokens":1,"own":1,"fallbacks":[{"model":"b","own":9}]}',
      { outputMost: 2, outputCapMember: 'own' },
      '{"max_tokens":1,"own":1,"fallbacks":[{"model":"b","own":2}]}',
    ],
    [
      messages,
      '{"max_tokens":5,"tools":[{"type":"advisor_1","max_uses": 20,"max_tokens":64000},{"name":"f"}]}',
      { outputMost: 5, advisorMost: { uses: 2, output: 2048 } },
      '{"max_tokens":5,"tools":[{"type":"advisor_1","max_uses": 2,"max_tokens":2048},{"name":"f"}]}',
    ],
    [
      messages,
      '{"max_tokens":5,"tools":[{"name":"advisor"},{ "type":"advisor_1","max_uses":1}]}',
      { outputMost: 5, advisorMost: { uses: 2, output: 2048 } },
      '{"max_tokens":5,"tools":[{"name":"advisor"},{"max_tokens":2048, "type":"advisor_1","max_uses":1}]}',
    ],
    [
      chat,
      '{"max_tokens":5,"tools":[{"type":"advisor_1","max_uses":null,"max_tokens":0}]}',
      { outputMost: 5, advisorMost: { uses: 2, output: 2048 } },
      '{"max_tokens":5,"tools":[{"type":"advisor_1","max_uses":2,"max_tokens":2048}]}',
    ],
    [
      responses,
      '{"max_output_tokens":5,"tools":[{"type":"advisor_1"}]}',
      { outputMost: 5, advisorMost: { uses: 2, output: 2048 } },
      '{"max_output_tokens":5,"tools":[{"max_uses":2,"max_tokens":2048,"type":"advisor_1"}]}',
    ],
    [
      messages,
      '{"max_tokens":5,"tools":[{"type":"advisor_1"}]}',
      {},
      '{"max_tokens":5,"tools":[{"type":"advisor_1"}]}',
    ],
    [chat, '{"model":"m","max_tokens":0}', { outputMost: 8 }, '{"model":"m","max_tokens":8}'],
    [completions, '{"model":"m"}', { outputMost: 5, isOfficial: true }, '{"model":"m"}'],
    [completions, '{"model":"m"}', { outputMost: 5 }, '{"max_tokens":5,"model":"m"}'],
    [
      completions,
      '{"model":"m","max_tokens":0}',
      { outputMost: 1, isOfficial: true },
      '{"model":"m","max_tokens":0}',
    ],
    [completions, '{"model":"m","max_tokens":0}', { outputMost: 1 }, '{"model":"m","max_tokens":1}'],
    [
      completions,
      '{"model":"m","max_tokens":5}',
      { outputMost: 5, outputCapMember: 'max_completion_tokens' },
      '{"max_completion_tokens":5,"model":"m","max_tokens":5}',
    ],
    [
      messages,
      '{"model":"m","max_tokens":0}',
      { outputMost: 1, isOfficial: true },
      '{"model":"m","max_tokens":0}',
    ],
    [messages, '{"model":"m","max_tokens":0}', { outputMost: 1 }, '{"model":"m","max_tokens":1}'],
    [
      messages,
      '{"model":"m","max_tokens":128000}',
      { outputMost: 25000 },
      '{"model":"m","max_tokens":25000}',
    ],
    [
      chat,
      '{"model":"m","max_completion_tokens":3}',
      { outputMost: 5, isOfficial: true },
      '{"model":"m","max_completion_tokens":3}',
    ],
    [chat, '{"model":"m"}', { addsUsage: true }, '{"stream_options":{"include_usage":true},"model":"m"}'],
    [
      chat,
      '{"model":"m"}',
      { addsUsage: true, outputMost: 5 },
      '{"max_tokens":5,"stream_options":{"include_usage":true},"model":"m"}',
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
    [responses, '{"model":"m"}', { outputMost: 5 }, '{"max_output_tokens":5,"model":"m"}'],
    [messages, '{"model":"m"}', { outputMost: 5 }, '{"max_tokens":5,"model":"m"}'],
    [messages, '{"model":"m","max_tokens":null}', { outputMost: 5 }, '{"model":"m","max_tokens":5}'],
    [embeddings, '{"model":"m"}', { outputMost: 5, addsUsage: true }, '{"model":"m"}'],
    [count, '{"model":"m"}', { outputMost: 5 }, '{"model":"m"}'],
  ]
  for (const [path, text, changes, expected] of cases) {
    it(`${path} ${text} ${JSON.stringify(changes)}`, () => assert.equal(edit(path, text, changes), expected))
  }

  it('changes nothing else in any request, and does what it says', () => {
    // `n` is the one name that is read here and short enough to be drawn.
    const names = fc.string({ unit: 'binary' }).filter((name) => name !== 'n')
    const rest = fc.dictionary(names, fc.jsonValue({ stringUnit: 'binary' }), {
      maxKeys: 5,
    })
    const options = fc.option(fc.dictionary(fc.constantFrom('include_usage', 'x'), fc.boolean()))
    fc.assert(
      fc.property(rest, options, (more, stream_options) => {
        const body = { ...more, model: 'm', stream: true, stream_options, max_completion_tokens: null }
        const parsed = JSON.parse(
          edit(chat, JSON.stringify(body, null, 1), { addsUsage: true, outputMost: 9, isOfficial: true }),
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

  it('gives a member another name, whatever name stands there', () => {
    for (const name of ['a', '', '\\', '"', '\\"', ':', '{"', 'é', 'a\\\\"b']) {
      for (const space of ['', ' ', '\n\t']) {
        const body = Buffer.from(`{"x":"\\\\",${space}${JSON.stringify(name)}${space}:${space}1}`)
        const member = membersOf(body).byKey.get(name) ?? assert.fail(name)
        const renamed = JSON.parse(applyEdits(body, [renameMember(body, member, 'new')]).toString())
        assert.deepEqual(renamed, { x: '\\', new: 1 }, body.toString())
      }
    }
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
  assert.equal(findProvider('unknown'), undefined)
  assert.equal(findClaimant({ 'anthropic-version': '2023-06-01' })?.name, 'anthropic')
  assert.equal(findClaimant({})?.name, 'openai')
})
