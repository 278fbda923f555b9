import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { presets } from '#providers/all.ts'
import type { Environment } from './environment.ts'
import { readConfig } from './read.ts'
import { type Config, ConfigError } from './settings.ts'

/** What is refused, and in which words, is held by test/start.test.ts, on the program itself. */
describe('readConfig', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-config-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  function read(env: Environment, file = ''): Config {
    const path = join(folder, 'tollgate.yaml')
    writeFileSync(path, file)
    return readConfig({ CONFIG: path, ...env })
  }

  it('has a default for everything', () => {
    const config = read({})
    assert.deepEqual(
      [config.host, config.port, config.adminPort, config.dataDir, config.bodyBytesMax, config.bulkUsersMax],
      ['127.0.0.1', 8080, undefined, './data', 33_554_432, 10_000],
    )
    assert.deepEqual(
      config.policy.families.map(({ name }) => name),
      ['gpt4-32k', 'turbo', 'gpt4', 'claude', 'other'],
    )
    assert.deepEqual([config.ledgerRetentionDays, config.purgeAfterDays], [90, 30])
    assert.deepEqual(config.upstreams, [])
    assert.ok(Object.isFrozen(config))
  })

  it('takes an empty variable for one that is not set', () => {
    assert.equal(read({ PORT: '', ADMIN_KEY: ' ', OPENAI_API_KEY: '' }).port, 8080)
  })

  it('makes an upstream of a key, for every model', () => {
    const [openai, ...others] = read({ OPENAI_API_KEY: 'sk-1' }).upstreams
    assert.deepEqual(openai, {
      name: 'openai',
      provider: 'openai',
      baseUrl: 'https://api.openai.com/v1',
      apiKey: 'sk-1',
      models: ['*'],
    })
    assert.deepEqual(others, [])
  })

  it('adds no catch-all beside what the file lists of a protocol', () => {
    const file =
      'upstreams: [{name: mine, provider: openai, baseUrl: "http://a/v1", apiKey: $OPENAI_API_KEY, models: [gpt-4o]}]'
    const { upstreams } = read({ OPENAI_API_KEY: 'sk-1', ANTHROPIC_API_KEY: 'sk-2' }, file)
    assert.deepEqual(
      upstreams.map(({ name, apiKey, models }) => [name, apiKey, models]),
      [
        ['mine', 'sk-1', ['gpt-4o']],
        ['anthropic', 'sk-2', ['*']],
      ],
    )
  })

  it('takes further headers by name or beginning, and none that must never pass', () => {
    const file = (names: string) =>
      `upstreams: [{name: mine, provider: openai, baseUrl: "http://a/v1", models: ["*"], passRequestHeaders: [${names}]}]`
    const [upstream] = read({}, file('X-Acme-Team, "x-trace-*"')).upstreams
    assert.deepEqual(upstream?.passRequestHeaders, ['x-acme-team', 'x-trace-*'])
    for (const name of [
      'Authorization',
      'x-api-key',
      'cookie',
      'x-forwarded-for',
      'connection',
      '"*"',
      '"a b"',
    ])
      assert.throws(() => read({}, file(name)), ConfigError, name)
  })

  it('refuses two credentials for one header, and says no password', () => {
    const env = { OPENAI_BASE_URL: 'https://gate:pa55word@a/v1' }
    assert.equal(read(env).upstreams[0]?.baseUrl, env.OPENAI_BASE_URL)
    for (const wrong of [{ ...env, OPENAI_API_KEY: 'k' }, { OPENAI_BASE_URL: 'ftp://gate:pa55word@a' }])
      assert.throws(
        () => read(wrong),
        (error: Error) => error instanceof ConfigError && !error.message.includes('pa55word'),
      )
    const both = { ANTHROPIC_BASE_URL: 'https://gate:pa55word@a', ANTHROPIC_API_KEY: 'k' }
    assert.equal(read(both).upstreams[0]?.apiKey, 'k')
  })

  it('refuses an upstream that would start and could not work', () => {
    const at = (more: string) =>
      `upstreams: [{name: a, provider: openai, baseUrl: "http://a.example/v1", ${more}}]`
    const cases: readonly (readonly [Environment, string, RegExp])[] = [
      [{ OPENAI_API_KEY: 'sk-\nsecret' }, '', /a header cannot hold/],
      [{ OPENAI_API_KEY: 'sk-€secret' }, '', /a header cannot hold/],
      [{}, at('apiKey: secret, headers: {authorization: x}'), /same header/],
      [{}, at('apiKey: secret, apiKeyHeader: X-Key, headers: {x-key: x}'), /same header/],
      [{}, at('apiKey: secret, apiKeyHeader: content-type'), /cannot carry a credential/],
      [{}, at('models: {a: b, A: c}'), /a twice in models/],
      [{}, at('healthEveryMs: 1'), /healthEveryMs/],
      [{}, at('headers: {Host: x}'), /headers\.Host: cannot be set by the configuration/],
      [{ OPENAI_BASE_URL: 'http://a.example/v1#x' }, '', /# in its baseUrl/],
    ]
    for (const [env, text, says] of cases)
      assert.throws(
        () => read(env, text),
        (error: Error) => {
          assert.ok(error instanceof ConfigError)
          assert.match(error.message, says)
          assert.doesNotMatch(error.message, /secret/)
          return true
        },
      )
    assert.ok(read({}, at('apiKey: k, apiKeyHeader: X-Key, headers: {authorization: x}')))
  })

  const upstreamsOf = (env: Environment, file = '') =>
    read(env, file).upstreams.map(({ name, models }) => [name, ...models])

  it('makes an upstream of the variables of a service or a local server', () => {
    const [openrouter] = read({ OPENROUTER_API_KEY: 'k' }).upstreams
    assert.deepEqual(openrouter, {
      name: 'openrouter',
      provider: 'openai',
      baseUrl: 'https://openrouter.ai/api/v1',
      apiKey: 'k',
      models: ['*'],
      outputCapMember: 'max_tokens',
    })
    const [ollama] = read({ OLLAMA_BASE_URL: 'http://gpu:11434/v1' }).upstreams
    assert.deepEqual(
      [ollama?.baseUrl, ollama?.apiKey, ollama?.models],
      ['http://gpu:11434/v1', undefined, ['*']],
    )
    assert.deepEqual(upstreamsOf({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }), [['openai', '*']])
    // A key of a server that is not said to be there (VLLM_API_KEY is vLLM's own) adds nothing.
    assert.deepEqual(upstreamsOf({ VLLM_API_KEY: 'k' }), [])
    const [hosted] = read({ OLLAMA_API_KEY: 'k' }).upstreams
    assert.deepEqual([hosted?.baseUrl, hosted?.apiKey], ['https://ollama.com/v1', 'k'])
    assert.throws(() => read({ AZURE_OPENAI_API_KEY: 'k' }), /AZURE_OPENAI_BASE_URL/)
    assert.throws(() => read({ GROQ_BASE_URL: 'ftp://x' }), /GROQ_BASE_URL/)
  })

  it('says which variables of services are set and add nothing', () => {
    const both = { OPENAI_API_KEY: 'k', OLLAMA_API_KEY: 'k', OLLAMA_BASE_URL: 'http://a/v1' }
    assert.deepEqual(read(both).notes, [])
    assert.match(
      read({ VLLM_API_KEY: 'k' }).notes.join(),
      /^VLLM_API_KEY is set, .* set VLLM_BASE_URL as well/,
    )
    assert.match(read({ LLAMA_CPP_API_KEY: 'k' }).notes.join(), /^LLAMA_CPP_API_KEY is set, /)
    const file = [
      'upstreams:',
      '  - preset: groq',
      '  - { name: a, provider: openai, baseUrl: "http://a/v1", headers: { x: "Bearer $\u007bXAI_API_KEY}" } }',
    ].join('\n')
    const env = { GROQ_API_KEY: 'k', XAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k' }
    assert.deepEqual(read(env, file).notes, [])
    assert.deepEqual(read({ ...env, OPENAI_API_KEY: 'secret' }, file).notes, [
      'OPENAI_API_KEY is set, and no upstream comes of it, since tollgate.yaml lists those of openai: list preset: openai there',
    ])
  })

  it('lets each of several services of the environment serve its own models, and one that serves any come last', () => {
    const env = {
      OPENAI_API_KEY: 'a',
      OLLAMA_BASE_URL: 'http://a/v1',
      ANTHROPIC_API_KEY: 'b',
      DEEPSEEK_API_KEY: 'c',
    }
    const found = upstreamsOf(env)
    assert.deepEqual(
      found.map(([name]) => name),
      ['openai', 'deepseek', 'anthropic', 'ollama'],
    )
    assert.ok(found[0]?.includes('gpt-*') && !found[0].includes('*'))
    assert.deepEqual(found.slice(1), [
      ['deepseek', 'deepseek-*'],
      ['anthropic', '*'],
      ['ollama', '*'],
    ])
    assert.deepEqual(upstreamsOf({ OPENAI_API_KEY: 'a', DEEPSEEK_API_KEY: 'c' }), [
      ['deepseek', 'deepseek-*'],
      ['openai', '*'],
    ])
    const elsewhere = upstreamsOf({ OPENAI_BASE_URL: 'http://a/v1', GROQ_API_KEY: 'b' })
    assert.deepEqual(
      elsewhere.map(([name]) => name),
      ['groq', 'openai'],
    )
    assert.deepEqual(elsewhere[1], ['openai', '*'])
  })

  it('takes a preset by name, and what is said besides goes before it', () => {
    const [mistral, second] = read(
      { MISTRAL_API_KEY: 'k', OTHER: 'o' },
      'upstreams: [{preset: mistral}, {preset: mistral, name: two, apiKey: $OTHER, baseUrl: "http://a/v1", streamOptions: ask, models: [m]}]',
    ).upstreams
    assert.deepEqual(mistral, {
      name: 'mistral',
      provider: 'openai',
      baseUrl: 'https://api.mistral.ai/v1',
      apiKey: 'k',
      models: ['*'],
      outputCapMember: 'max_tokens',
      streamOptions: 'never',
    })
    assert.deepEqual(
      [second?.name, second?.apiKey, second?.baseUrl, second?.streamOptions, second?.models],
      ['two', 'o', 'http://a/v1', 'ask', ['m']],
    )
  })

  it('has presets that hold together', () => {
    for (const { name, variable, baseUrl, settings } of presets) {
      const file = `upstreams: [{preset: ${name}, baseUrl: "${baseUrl ?? 'https://x/v1'}", ${Object.entries(
        settings,
      )
        .map(([key, value]) => `${key}: ${value}`)
        .join(', ')}}]`
      const [upstream] = read({ [`${variable}_API_KEY`]: 'k' }, file).upstreams
      assert.deepEqual(
        Object.entries(settings).filter(([key, value]) => upstream?.[key as keyof typeof settings] !== value),
        [],
      )
    }
  })

  it('reads names of models as a list or as a map from a name here to the name there', () => {
    const file =
      'upstreams: [{name: a, provider: openai, baseUrl: "http://a/v1", models: {fast: "llama3.2:1b"}}]'
    const [upstream] = read({}, file).upstreams
    assert.deepEqual([upstream?.models, upstream?.aliases], [['fast'], { fast: 'llama3.2:1b' }])
    for (const models of ['{}', '[]', '{"a*": b}', '{a: ""}', '"*"', '{a: 5}'])
      assert.throws(() => read({}, file.replace(/\{fast.*?\}/, models)), ConfigError, models)
  })

  it('takes headers and proxies from variables, whole or within the text, and repeats no secret', () => {
    const file = (more: string) =>
      `upstreams: [{name: a, provider: openai, baseUrl: "http://a.example/v1", ${more}}]`
    const [upstream] = read(
      { A: 'secret-1', B: 'secret-2', P: 'http://u:p@proxy:3128' },
      file(`headers: {X-One: $A, X-Two: "Bearer \${B}", X-Three: plain}, proxy: $P`),
    ).upstreams
    assert.deepEqual(upstream?.headers, {
      'X-One': 'secret-1',
      'X-Two': 'Bearer secret-2',
      'X-Three': 'plain',
    })
    assert.equal(upstream?.proxy, 'http://u:p@proxy:3128')
    const refused = (env: Environment, more: string) => {
      try {
        read(env, file(more))
      } catch (error) {
        assert.ok(error instanceof ConfigError)
        assert.doesNotMatch(error.message, /secret/)
        return error.message
      }
      return assert.fail(more)
    }
    assert.match(refused({ A: 'secret\n' + 'secret' }, 'headers: {X-One: $A}'), /headers\.X-One/)
    assert.match(refused({}, 'headers: {X-One: $A}'), /names A/)
    assert.match(refused({}, 'headers: {"content-length": "5"}'), /headers/)
    assert.match(refused({}, 'headers: {"a b": "5"}'), /headers/)
    assert.match(refused({ P: 'ftp://secret' }, 'proxy: $P'), /proxy/)
    assert.match(refused({}, 'caFile: /nothing/there'), /caFile/)
  })

  it('takes the proxies of the environment, but for this machine and where the file says otherwise', () => {
    const file = (baseUrl: string, more = '') =>
      `upstreams: [{name: a, provider: openai, baseUrl: "${baseUrl}"${more}}]`
    const env = {
      HTTPS_PROXY: 'secure:1',
      http_proxy: 'http://plain:2',
      HTTP_PROXY: 'http://not:3',
      NO_PROXY: 'x.example',
    }
    const proxyOf = (text: string) =>
      read(env, text).upstreams.map(({ proxy, noProxy }) => [proxy, noProxy])[0]
    assert.deepEqual(proxyOf(file('https://a.example/v1')), ['http://secure:1', 'x.example'])
    assert.deepEqual(proxyOf(file('http://a.example/v1')), ['http://plain:2', 'x.example'])
    for (const local of ['http://localhost:1/v1', 'http://127.0.0.1:1/v1', 'http://[::1]:1/v1'])
      assert.deepEqual(proxyOf(file(local)), [undefined, undefined])
    assert.deepEqual(proxyOf(file('https://a.example/v1', ', proxy: none')), [undefined, undefined])
    assert.deepEqual(proxyOf(file('https://a.example/v1', ', proxy: "http://own:4"')), [
      'http://own:4',
      undefined,
    ])
    assert.throws(
      () => read({ HTTPS_PROXY: 'socks5://u:secret@h' }),
      (error: Error) => !error.message.includes('secret'),
    )
  })

  it('takes a secret from a file', () => {
    const path = join(folder, 'secret')
    writeFileSync(path, 'an-admin-key-of-a-file\n')
    assert.equal(read({ ADMIN_KEY_FILE: path }).adminKey, 'an-admin-key-of-a-file')
  })

  it('reads a master key in hex and in base64, and sizes with units', () => {
    const bytes = Buffer.alloc(32, 9)
    for (const MASTER_KEY of [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')]) {
      assert.deepEqual(Buffer.from(read({ MASTER_KEY }).masterKey ?? []), bytes)
    }
    assert.equal(read({ BODY_BYTES_MAX: '2 MiB' }).bodyBytesMax, 2_097_152)
  })

  it('keeps for ever what it is told to, and knows what holds for addresses', () => {
    const file = 'purgeAfterDays: -1\ndefaults: { maxIps: 2, ipWindowDays: 7, ipLimitAction: disable }'
    const config = read({ LEDGER_RETENTION_DAYS: '0' }, file)
    assert.deepEqual([config.ledgerRetentionDays, config.purgeAfterDays], [0, -1])
    assert.deepEqual(config.policy.defaults, { maxIps: 2, ipWindowDays: 7, ipLimitAction: 'disable' })
  })

  it('takes no figure beyond the bound', () => {
    for (const field of ['requestsPerMinute', 'concurrentRequests', 'maxIps', 'limits'])
      for (const [figure, isFine] of [
        ['1000000000000', true],
        ['1000000000001', false],
        ['9007199254740991', false],
        ['1e300', false],
        ['.inf', false],
      ] as const) {
        const file = `defaults: { ${field}: ${field === 'limits' ? `{ turbo: ${figure} }` : figure} }`
        if (isFine) read({}, file)
        else assert.throws(() => read({}, file), ConfigError, file)
      }
  })

  it('reads weights for all families, and for some', () => {
    const file =
      'weights: { cacheRead: 0.1, output: 0, families: { claude: { cacheWritten: 1.25 }, turbo: {} } }'
    assert.deepEqual(read({}, file).policy.weights, {
      all: { cacheRead: 0.1, output: 0 },
      families: { claude: { cacheWritten: 1.25 }, turbo: {} },
    })
    assert.equal(read({}).policy.weights, undefined)
  })

  it('says of wrong weights what is right', () => {
    for (const [weights, message] of [
      [
        '{ cacheRead: -1 }',
        /weights\.cacheRead: must be a number from 0 \(free\) to 100, with at most three decimals/,
      ],
      ['{ output: 100.5 }', /weights\.output: must be a number from 0/],
      ['{ input: 0.0001 }', /weights\.input: must be a number from 0/],
      ['{ input: .inf }', /weights\.input: must be a number from 0/],
      ['{ input: cheap }', /weights\.input: must be a number from 0/],
      [
        '{ reasoning: 2 }',
        /weights: unknown key "reasoning"; weights are for input, cacheRead, cacheWritten, output; reasoning counts as output/,
      ],
      [
        '{ families: { claude: { cache_read: 2 } } }',
        /weights\.families\.claude: unknown key "cache_read"; weights are for input/,
      ],
      [
        '{ families: { cluade: { output: 2 } } }',
        /weights\.families\.cluade: is not a family; the families are .*claude/,
      ],
    ] as const)
      assert.throws(() => read({}, `weights: ${weights}`), { name: 'ConfigError', message })
  })

  it('keeps defaults apart: limits of families, limits of users, what is reserved', () => {
    const file =
      'defaults: { limits: { turbo: 5 }, period: daily, concurrentRequests: 2, outputUnits: 99, outputShare: 0.5 }\ntimeZone: Europe/Paris'
    const { policy } = read({}, file)
    assert.deepEqual(
      [policy.limits, policy.defaults, policy.output, policy.timeZone],
      [
        { turbo: 5 },
        { period: 'daily', concurrentRequests: 2 },
        { floor: 8192, share: 0.5, unstated: 99, least: 64 },
        'Europe/Paris',
      ],
    )
  })
})
