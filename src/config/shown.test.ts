import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ShownSetting } from '#core/shown-setting.ts'
import { presets } from '#providers/all.ts'
import { makeFolder } from '../../test/support/folder.ts'
import { readConfig } from './read.ts'
import type { Config } from './settings.ts'
import { settingLines, shownSettings } from './shown.ts'

const nothing = { CONFIG: '/dev/null' }

function of(config: Config, name: string): Omit<ShownSetting, 'name' | 'what'> {
  const found = shownSettings(config).filter((each) => each.name === name)
  assert.equal(found.length, 1, name)
  const { name: _, what, ...rest } = found[0] ?? assert.fail()
  assert.ok(what.length > 10 && !what.includes(']('), what)
  return rest
}

describe('the settings that administrators see', () => {
  it('have their defaults where nothing is given', () => {
    const config = readConfig(nothing)
    assert.deepEqual(of(config, 'PORT'), { from: 'default', value: 8080 })
    assert.deepEqual(of(config, 'ADMIN_PORT'), { from: 'default' })
    assert.deepEqual(of(config, 'MASTER_KEY'), { from: 'default', isSet: false })
    assert.deepEqual(of(config, 'defaults.outputShare'), { from: 'default', value: 0.25 })
    const others = shownSettings(config).filter(({ from, name }) => from !== 'default' && name !== 'CONFIG')
    assert.deepEqual(others, [])
  })

  it('say what came from the environment, and what from the file', () => {
    const folder = makeFolder()
    try {
      const path = join(folder.path, 'tollgate.yaml')
      writeFileSync(path, 'timeZone: Europe/Paris\ndefaults: { period: daily, outputFloor: 100 }\n')
      const secret = join(folder.path, 'key')
      writeFileSync(secret, 'ab'.repeat(32))
      const config = readConfig({
        ...{ CONFIG: path, PORT: '7000', STOP_GRACE_SECONDS: '3', LOG_LEVEL: ' ', no_proxy: 'a.example' },
        ...{ MASTER_KEY_FILE: secret, DEEPSEEK_API_KEY: 'hidden-1', UNKNOWN: 'x' },
      })
      assert.deepEqual(of(config, 'CONFIG'), { from: 'environment', value: path })
      assert.deepEqual(of(config, 'PORT'), { from: 'environment', value: 7000 })
      assert.deepEqual(of(config, 'STOP_GRACE_SECONDS'), { from: 'environment', value: 3 })
      assert.deepEqual(of(config, 'LOG_LEVEL'), { from: 'default', value: 'info' })
      assert.deepEqual(of(config, 'NO_PROXY'), { from: 'environment', value: 'a.example' })
      assert.deepEqual(of(config, 'MASTER_KEY'), { from: 'environment', isSet: true })
      assert.deepEqual(of(config, 'DEEPSEEK_API_KEY'), { from: 'environment', isSet: true })
      assert.deepEqual(of(config, 'timeZone'), { from: 'file', value: 'Europe/Paris' })
      assert.deepEqual(of(config, 'defaults.period'), { from: 'file', value: 'daily' })
      assert.deepEqual(of(config, 'defaults.outputFloor'), { from: 'file', value: 100 })
      assert.deepEqual(of(config, 'defaults.maxIps'), { from: 'default' })
      assert.ok(settingLines(config).includes('MASTER_KEY: set (environment)'))
      assert.ok(settingLines(config).includes('defaults.period: "daily" (tollgate.yaml)'))
      assert.equal(settingLines(config).length, 9)
    } finally {
      folder.remove()
    }
  })

  it('hold no secret, wherever one may stand', () => {
    const folder = makeFolder()
    try {
      const path = join(folder.path, 'tollgate.yaml')
      writeFileSync(
        path,
        'upstreams:\n  - { name: a, provider: openai, baseUrl: "https://u:hidden-1@one.example/v1?key=hidden-2", ' +
          'headers: { x-one: hidden-3, x-two: $TWO }, proxy: "http://u:hidden-5@p.example" }\n' +
          '  - { name: b, provider: openai, baseUrl: "https://two.example/v1", apiKey: hidden-6 }\n',
      )
      const addresses = presets.map(({ variable }) => [
        `${variable}_BASE_URL`,
        'https://u:hidden-12@h.example/v1?key=hidden-13',
      ])
      const keys = presets.map(({ variable }) => [`${variable}_API_KEY`, 'hidden-11'])
      const config = readConfig({
        ...Object.fromEntries([...addresses, ...keys]),
        ...{ CONFIG: path, TWO: 'hidden-4', ADMIN_KEY: 'hidden-7-of-an-admin', MASTER_KEY: '5e'.repeat(32) },
        ...{ MASTER_KEY_PREVIOUS: '7c'.repeat(32), DATABASE_URL: 'postgres://u:hidden-8@db.example/d' },
        ...{
          DATABASE_DIRECT_URL: 'postgres://u:hidden-9@db.example/d',
          https_proxy: 'http://u:hidden-10@p.example',
        },
      })
      const text = JSON.stringify(shownSettings(config)) + settingLines(config).join('\n')
      assert.doesNotMatch(text, /hidden|5e5e|7c7c/)
      const [first] = Object(of(config, 'upstreams').value)
      assert.deepEqual(first, {
        ...{ name: 'a', provider: 'openai', baseUrl: 'https://one.example/v1', models: ['*'] },
        ...{ headers: ['x-one', 'x-two'], hasApiKey: false, hasProxy: true, hasCaFile: false },
      })
    } finally {
      folder.remove()
    }
  })

  it('are all that the configuration has', () => {
    const read = new Set<string>()
    const config = readConfig(nothing)
    shownSettings(
      new Proxy(config, {
        get(target, name, receiver) {
          read.add(String(name))
          return Reflect.get(target, name, receiver)
        },
      }),
    )
    const elsewhere = ['adminKey', 'masterKey', 'masterKeyPrevious', 'databaseUrl', 'databaseDirectUrl']
    // The file of a secret, the sentences beside the settings, and what only the demo has.
    const aside = ['masterKeyFile', 'notes', 'servedHosts']
    assert.deepEqual(
      Object.keys(config).filter((name) => !read.has(name) && ![...elsewhere, ...aside].includes(name)),
      [],
    )
  })
})
