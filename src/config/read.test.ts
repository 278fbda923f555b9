import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
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
