import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { generate } from 'otplib'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { withFolder } from './support/folder.ts'
import { runProgram, startProgram } from './support/process.ts'

const chat = (content: string, more: object = {}) =>
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }], ...more })

function post(
  url: string,
  accessToken: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const authorization = `Bearer ${accessToken}`
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization, ...headers },
    body,
  })
}

describe('starting', { concurrency: 2 }, () => {
  it('makes an admin key and a master key once, prints the first, and works with both from then on', () =>
    withFolder(async (folder) => {
      const env = { DATA_DIR: join(folder, 'data'), PORT: '0' }
      const first = startProgram([], env)
      const url = await first.listening
      const adminKey = /Admin key: (\S+)/.exec(first.output())?.[1] ?? assert.fail(first.output())
      const made = await post(`${url}/admin/users`, adminKey, '{"type":"normal"}')
      assert.equal(made.status, 200)
      const keyFile = join(folder, 'data', 'master.key')
      assert.equal(statSync(keyFile).mode & 0o777, 0o600)
      const masterKey = readFileSync(keyFile, 'utf8')
      first.process.kill('SIGTERM')
      assert.equal(await first.exit, 0)

      const second = startProgram([], env)
      const again = await second.listening
      assert.equal(second.output().includes('Admin key:'), false)
      assert.equal(readFileSync(keyFile, 'utf8'), masterKey)
      const listed = await fetch(`${again}/admin/users`, { headers: { authorization: `Bearer ${adminKey}` } })
      assert.equal(((await listed.json()) as { count: number }).count, 1)
      second.process.kill('SIGTERM')
      assert.equal(await second.exit, 0)
    }))

  it('says that there is no upstream, and how to add one, on the screen and at /readyz', () =>
    withFolder(async (folder) => {
      const program = startProgram([], { DATA_DIR: folder, PORT: '0', ADMIN_KEY: 'a-test-admin-key-1' })
      try {
        const url = await program.listening
        assert.match(program.output(), /No upstream is configured[\s\S]*OPENAI_API_KEY/)
        const made = await post(`${url}/admin/users`, 'a-test-admin-key-1', '{}')
        const { token: accessToken } = (await made.json()) as { token: string }
        const answer = await post(`${url}/v1/chat/completions`, accessToken, chat('hi'))
        assert.equal(answer.status, 404)
        assert.doesNotMatch(await answer.text(), /API_KEY/, 'that is for the operator')
        assert.match(await (await fetch(`${url}/readyz`)).text(), /OPENAI_API_KEY/)
      } finally {
        program.process.kill('SIGTERM')
      }
      assert.equal(await program.exit, 0)
    }))

  it('--demo answers both protocols and the admin API with the keys it names', () =>
    withFolder(async (folder) => {
      const program = startProgram(['--demo'], { PORT: '0', TMPDIR: folder })
      const url = await program.listening
      const answer = await post(`${url}/v1/chat/completions`, 'demo-ann', chat('hello'))
      assert.equal(answer.status, 200)
      const { usage } = (await answer.json()) as { usage: { total_tokens: number } }
      const message = await post(
        `${url}/v1/messages`,
        'demo-ann',
        chat('hello', { model: 'claude-sonnet-4-5', max_tokens: 50 }),
        { 'anthropic-version': '2023-06-01' },
      )
      assert.equal(message.status, 200)
      const ann = await fetch(`${url}/admin/users/demo-ann`, {
        headers: { authorization: 'Bearer demo-admin-key-1' },
      })
      const { tokenCounts } = (await ann.json()) as { tokenCounts: Record<string, number> }
      assert.equal(tokenCounts.turbo, usage.total_tokens)
      assert.ok((tokenCounts.claude ?? 0) > 0)
      assert.equal((await post(`${url}/v1/chat/completions`, 'demo-eve', chat('hello'))).status, 403)
      program.process.kill('SIGINT')
      assert.equal(await program.exit, 0)
      assert.deepEqual(existsSync(join(folder, 'data')), false)
    }))

  it('lets a running stream finish on SIGTERM, takes nothing new, and has it booked', () =>
    withFolder(async (folder) => {
      const upstream = await openSimulatedUpstream({ port: 0 })
      const env = {
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_KEY: 'a-test-admin-key-1',
        OPENAI_BASE_URL: `${upstream.url}/v1`,
        OPENAI_API_KEY: 'x',
      }
      const program = startProgram([], env)
      const url = await program.listening
      const made = await post(`${url}/admin/users`, 'a-test-admin-key-1', '{}')
      const { token: accessToken } = (await made.json()) as { token: string }
      const answer = await post(
        `${url}/v1/chat/completions`,
        accessToken,
        chat('a story', { stream: true, max_tokens: 60 }),
      )
      const reader = answer.body?.getReader() ?? assert.fail()
      await reader.read()
      program.process.kill('SIGTERM')
      const text: string[] = []
      for (let part = await reader.read(); !part.done; part = await reader.read())
        text.push(Buffer.from(part.value).toString())
      assert.match(text.join(''), /\[DONE\]/)
      assert.equal(await program.exit, 0)
      await assert.rejects(fetch(url))

      const second = startProgram([], env)
      const again = await second.listening
      const user = await fetch(`${again}/admin/users/${accessToken}`, {
        headers: { authorization: 'Bearer a-test-admin-key-1' },
      })
      const { tokenCounts } = (await user.json()) as { tokenCounts: Record<string, number> }
      const [served] = upstream.served()
      const truth = served?.usage
      assert.ok(truth)
      assert.equal(
        tokenCounts.turbo,
        truth.input + truth.cacheRead + truth.cacheWritten + truth.output + truth.reasoning,
      )
      second.process.kill('SIGTERM')
      assert.equal(await second.exit, 0)
      await upstream.close()
    }))

  it('cuts the running stream of a user who is disabled, within a second, and refuses the next request', () =>
    withFolder(async (folder) => {
      const program = startProgram(['--demo'], { PORT: '0', TMPDIR: folder })
      const url = await program.listening
      const answer = await post(
        `${url}/v1/chat/completions`,
        'demo-ann',
        chat('x', { model: 'gpt-4o@units=2000', stream: true }),
      )
      const reader = answer.body?.getReader() ?? assert.fail()
      await reader.read()
      const disabledAt = performance.now()
      const headers = { authorization: 'Bearer demo-admin-key-1' }
      const disabled = await fetch(`${url}/admin/users/demo-ann?disabledReason=abuse`, {
        method: 'DELETE',
        headers,
      })
      assert.equal(disabled.status, 200)
      let text = ''
      for (let part = await reader.read(); !part.done; part = await reader.read())
        text += Buffer.from(part.value).toString()
      assert.ok(performance.now() - disabledAt < 1000)
      assert.match(text, /disabled: abuse/)
      assert.doesNotMatch(text, /\[DONE\]/)
      assert.equal((await post(`${url}/v1/chat/completions`, 'demo-ann', chat('x'))).status, 403)
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0)
    }))

  it('serves the admin API on a port of its own when asked, and only there', () =>
    withFolder(async (folder) => {
      const program = startProgram([], {
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_PORT: '0',
        ADMIN_KEY: 'a-test-admin-key-1',
      })
      const url = await program.listening
      const adminUrl = /pages:\s+(\S+)\/docs/.exec(program.output())?.[1] ?? assert.fail()
      assert.notEqual(adminUrl, url)
      const headers = { authorization: 'Bearer a-test-admin-key-1' }
      assert.equal((await fetch(`${adminUrl}/admin/users`, { headers })).status, 200)
      assert.equal((await fetch(`${url}/admin/users`, { headers })).status, 404)
      assert.equal((await fetch(`${adminUrl}/v1/models`, { headers })).status, 404)
      for (const each of [url, adminUrl]) {
        assert.equal((await fetch(`${each}/healthz`)).status, 200)
        assert.equal((await fetch(`${each}/readyz`)).status, 200)
      }
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0)
    }))

  it('makes no admin key in a start that fails, so that the next one prints it', () =>
    withFolder(async (folder) => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const busy = String((other.address() as AddressInfo).port)
      for (const env of [{ PORT: busy }, { PORT: '0', ADMIN_PORT: busy }]) {
        const failed = await runProgram([], { DATA_DIR: folder, ...env })
        assert.equal(failed.code, 1, failed.output)
        assert.doesNotMatch(failed.output, /tga-/)
      }
      other.close()
      for (const says of [/Admin key: tga-/, /The admin key was made at an earlier start/]) {
        const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
        await program.listening
        assert.match(program.output(), says)
        program.process.kill('SIGTERM')
        assert.equal(await program.exit, 0)
      }
    }))

  it('refuses an option that npm has taken for its own', () =>
    withFolder(async (folder) => {
      const npm = { DATA_DIR: folder, npm_lifecycle_event: 'start' }
      const cases = [
        [['admin-key', 'x'], { npm_config_scope: 'verifier' }, 'admin-key … --scope'],
        [[], { npm_config_demo: 'true' }, '--demo'],
        [['migrate-store'], { npm_config_undo: 'true' }, 'migrate-store … --undo'],
      ] as const
      for (const [args, env, right] of cases) {
        const { code, output } = await runProgram(args, { ...npm, ...env })
        assert.equal(code, 2, output)
        assert.ok(output.includes(`write npm start -- ${right}`), output)
      }
      assert.deepEqual(readdirSync(folder), [])
    }))

  it('admin-key makes no key in a DATA_DIR that is not there', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'misspelt')
      const { code, output } = await runProgram(['admin-key', 'ann'], { DATA_DIR: path })
      assert.equal(code, 2)
      assert.match(output, /^tollgate: DATA_DIR: there is no folder \S+misspelt: correct it/)
      assert.equal(existsSync(path), false)
    }))

  it('names an option that it does not know', () =>
    withFolder(async (folder) => {
      const { code, output } = await runProgram(['--foo'], { DATA_DIR: folder })
      assert.equal(code, 2)
      assert.equal(output.trim(), 'tollgate: there is no option --foo; see npm start -- help')
    }))

  it('admin-key makes another one; while the server runs it says why not', () =>
    withFolder(async (folder) => {
      const { code, output } = await runProgram(['admin-key', 'ann'], { DATA_DIR: folder })
      assert.equal(code, 0)
      const adminKey = /^(tga-\w+)$/m.exec(output)?.[1] ?? assert.fail(output)
      const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
      const url = await program.listening
      assert.equal(
        (await fetch(`${url}/admin/users`, { headers: { authorization: `Bearer ${adminKey}` } })).status,
        200,
      )
      const listed = await fetch(`${url}/admin/keys`, { headers: { authorization: `Bearer ${adminKey}` } })
      assert.partialDeepStrictEqual(await listed.json(), {
        keys: [{ name: 'ann', scopes: ['admin'] }],
        count: 1,
      })
      const beside = await runProgram(['admin-key', 'bob'], { DATA_DIR: folder })
      assert.equal(beside.code, 1)
      assert.match(beside.output, /^tollgate: another Tollgate process is already using the folder/)
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0)
    }))

  it('admin-key makes one for another gateway, which ends; it takes nobody’s first one away', () =>
    withFolder(async (folder) => {
      const args = ['admin-key', 'edge', '--scope', 'verifier', '--expires-in-days', '30']
      const { code, output } = await runProgram(args, { DATA_DIR: folder })
      assert.equal(code, 0)
      const verifierKey = /^(tgv-\w+)$/m.exec(output)?.[1] ?? assert.fail(output)
      assert.match(output, /"edge" with the scope verifier until 20\d\d-/)
      const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
      const url = await program.listening
      const adminKey = /Admin key: (\S+)/.exec(program.output())?.[1] ?? assert.fail(program.output())
      const ask = (path: string, key: string) =>
        fetch(url + path, { headers: { authorization: `Bearer ${key}` } })
      assert.equal((await ask('/admin/keys', verifierKey)).status, 403)
      assert.equal((await ask('/v1/usage', verifierKey)).status, 401)
      assert.equal((await ask('/v1/usage', adminKey)).status, 401)
      const { keys } = (await (await ask('/admin/keys', adminKey)).json()) as {
        keys: { expiresAt?: number }[]
      }
      const days = ((keys[0]?.expiresAt ?? 0) - Date.now()) / 86_400_000
      assert.ok(keys.length === 2 && days > 29.9 && days <= 30, `${keys.length} keys, ${days} days`)
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0)
    }))

  it('keys makes, lists, rotates and deletes them', () =>
    withFolder(async (folder) => {
      const keys = (...args: string[]) => runProgram(['keys', ...args], { DATA_DIR: folder })
      const made = await keys(
        'create',
        'desk',
        '--scope',
        'users:write',
        '--scope',
        'usage:read',
        '--network',
        '127.0.0.0/8',
      )
      assert.equal(made.code, 0, made.output)
      assert.match(
        made.output,
        /"desk" with the scope users:write and usage:read from 127\.0\.0\.0\/8\. It is not shown/,
      )
      const first = /^(tga-\w+)$/m.exec(made.output)?.[1] ?? assert.fail(made.output)
      const listed = await keys()
      const id = /^(adk_\w+) {2}"desk" with/m.exec(listed.output)?.[1] ?? assert.fail(listed.output)
      assert.ok(!listed.output.includes(first))
      assert.equal((await keys('list')).output, listed.output)
      const turned = await keys('rotate', id, '--overlap-hours', '2')
      assert.match(turned.output, /new secret of the key "desk".*The one before works until 20/s)
      const second = /^(tga-\w+)$/m.exec(turned.output)?.[1] ?? assert.fail(turned.output)
      const statusOf = async (...secrets: string[]) => {
        const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
        const url = await program.listening
        const statuses: number[] = []
        for (const secret of secrets) {
          const headers = { authorization: `Bearer ${secret}` }
          statuses.push((await fetch(`${url}/admin/users`, { headers })).status)
        }
        program.process.kill('SIGTERM')
        assert.equal(await program.exit, 0)
        return statuses
      }
      assert.deepEqual(await statusOf(first, second), [200, 200])
      const third = /^(tga-\w+)$/m.exec((await keys('rotate', id)).output)?.[1] ?? assert.fail()
      assert.deepEqual(await statusOf(first, second, third), [401, 401, 200])
      assert.match((await keys('list')).output, /last used 20\d\d-/)
      await enrol(folder, id, third)
      assert.match((await keys('list')).output, /"desk" with .* with a second factor/)
      assert.deepEqual(await statusOf(third), [401])
      const removed = await keys('remove-second-factor', id)
      assert.deepEqual([removed.code, /needs no code any more/.test(removed.output)], [0, true])
      assert.deepEqual(await statusOf(third), [200])
      assert.equal((await keys('remove-second-factor', id)).code, 1)
      const deleted = await keys('delete', id)
      assert.deepEqual([deleted.code, /was deleted/.test(deleted.output)], [0, true])
      assert.deepEqual([(await keys('delete', id)).code, (await keys('rotate', id)).code], [1, 1])
      for (const [args, says] of [
        [['remove-second-factor'], /keys takes list, create NAME/],
        [['rotate'], /keys takes list, create NAME/],
        [['remove', id], /keys takes list, create NAME/],
        [['list', id], /keys takes list, create NAME/],
        [['create'], /name the key/],
        [['create', 'x', '--network', 'home'], /--network takes an address or a network/],
        [['create', 'x', '--overlap-hours', '1'], /goes with tollgate keys rotate only/],
        [['rotate', id, '--overlap-hours', '0'], /whole number from 1 to 2160/],
      ] as const) {
        const wrong = await keys(...args)
        assert.deepEqual([wrong.code, says.test(wrong.output)], [2, true], wrong.output)
      }
      const last = /^(adk_\w+) {2}"first"/m.exec((await keys()).output)?.[1] ?? assert.fail()
      assert.match((await keys('delete', last)).output, /last key that opens the admin API/)
    }))
})

/** Gives a key a second factor, as its holder does. */
async function enrol(folder: string, id: string, key: string): Promise<void> {
  const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
  const path = `${await program.listening}/admin/keys/${id}/second-factor`
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const begun = (await (await fetch(path, { method: 'POST', headers })).json()) as { secret: string }
  const body = JSON.stringify({ code: await generate({ secret: begun.secret }) })
  const confirmed = await fetch(`${path}/confirm`, { method: 'POST', headers, body })
  assert.equal(confirmed.status, 200, await confirmed.text())
  program.process.kill('SIGTERM')
  assert.equal(await program.exit, 0)
}

const signOn = {
  SIGN_ON_ISSUER: 'https://login.example.org',
  SIGN_ON_CLIENT_ID: 'tollgate',
  SIGN_ON_PUBLIC_URL: 'https://tollgate.example.org',
  SIGN_ON_GROUPS: 'a=admin',
}

interface Wrong {
  readonly name: string
  readonly env?: Record<string, string>
  readonly file?: string
  readonly args?: readonly string[]
  readonly says: RegExp
}

const wrong: readonly Wrong[] = [
  {
    name: 'a port that is none',
    env: { PORT: '80a' },
    says: /^tollgate: PORT: "80a" must be a whole number from 0 to 65535$/m,
  },
  { name: 'a port beyond the last', env: { PORT: '70000' }, says: /PORT: .*65535/ },
  {
    name: 'the same port twice',
    env: { PORT: '9000', ADMIN_PORT: '9000' },
    says: /ADMIN_PORT: is the same as PORT/,
  },
  { name: 'a short admin key', env: { ADMIN_KEY: 'short' }, says: /ADMIN_KEY: must be 16 to 512/ },
  {
    name: 'an admin key twice',
    env: { ADMIN_KEY: 'a-test-admin-key-1', ADMIN_KEY_FILE: '/nonexistent' },
    says: /ADMIN_KEY or ADMIN_KEY_FILE, not both/,
  },
  {
    name: 'a key file that is not there',
    env: { ADMIN_KEY_FILE: '/nonexistent' },
    says: /ADMIN_KEY_FILE: cannot read \/nonexistent \(ENOENT\)/,
  },
  {
    name: 'a master key of the wrong length',
    env: { MASTER_KEY: 'abcd' },
    says: /MASTER_KEY: must be 64 hex digits/,
  },
  {
    name: 'a database URL of another kind, without showing its password',
    env: { DATABASE_URL: 'mysql://ann:sesame@127.0.0.1/tollgate', MASTER_KEY: '07'.repeat(32) },
    says: /^(?!.*sesame).*DATABASE_URL: must be postgres:/s,
  },
  {
    name: 'PostgreSQL without a master key that all instances share',
    env: { DATABASE_URL: 'postgres://ann:sesame@127.0.0.1/tollgate' },
    says: /^(?!.*sesame).*MASTER_KEY: is needed with DATABASE_URL/s,
  },
  {
    name: 'an unknown log level',
    env: { LOG_LEVEL: 'loud' },
    says: /LOG_LEVEL: "loud" must be one of debug, info/,
  },
  {
    name: 'a size that is none',
    env: { BODY_BYTES_MAX: '10 apples' },
    says: /BODY_BYTES_MAX: "10 apples" must be a size/,
  },
  {
    name: 'a retention that is none',
    env: { LEDGER_RETENTION_DAYS: '-1' },
    says: /LEDGER_RETENTION_DAYS: "-1" must be a whole number from 0 to 36500/,
  },
  {
    name: 'a window of no days',
    file: 'defaults: { ipWindowDays: 0 }',
    says: /defaults\.ipWindowDays: must be 1 or more days, or -1/,
  },
  {
    name: 'an unknown action',
    file: 'defaults: { ipLimitAction: shout }',
    says: /defaults\.ipLimitAction: .*refuse.*disable/,
  },
  { name: 'less than never', file: 'purgeAfterDays: -2', says: /purgeAfterDays: / },
  {
    name: 'an origin with a path',
    file: 'corsOrigins: ["https://chat.example.org/"]',
    says: /corsOrigins\[0\]: must be an origin/,
  },
  {
    name: 'a route to let through that is served already',
    file: 'passThrough: [{ provider: openai, path: /v1/responses }]',
    says: /passThrough\[0\]\.path: \/v1\/responses is served already/,
  },
  {
    name: 'a route to let through to nothing that is known',
    file: 'passThrough: [{ provider: other, path: /v1/ocr }]',
    says: /passThrough\[0\]\.provider: "other" must be one of/,
  },
  {
    name: 'a route to let through that takes one that is served',
    file: 'passThrough: [{ provider: openai, path: /v1/Chat/* }]',
    says: /passThrough\[0\]\.path: \/v1\/Chat\/\* takes \/v1\/chat\/completions as well/,
  },
  {
    name: 'a route to let through that takes models',
    file: 'passThrough: [{ provider: openai, path: /v1/models/*, methods: [DELETE] }]',
    says: /passThrough\[0\]\.path: \/v1\/models\/\* takes \/v1\/models as well/,
  },
  {
    name: 'a route to let through to an upstream that is not there',
    file: 'passThrough: [{ provider: openai, path: /v1/files, methods: [GET], upstream: gone }]',
    says: /passThrough\[0\]\.upstream: no upstream of openai has the name gone/,
  },
  {
    name: 'a route to let through that counts to no family',
    file: 'families: [{ name: a, models: [a*] }]\npassThrough: [{ provider: openai, path: /v1/files, methods: [GET] }]',
    says: /passThrough\[0\]\.model: no family takes \/v1\/files/,
  },
  {
    name: 'a proxy that is not a network',
    env: { TRUSTED_PROXIES: '10.0.0.0/8,lan' },
    says: /TRUSTED_PROXIES: "lan" must be a network/,
  },
  {
    name: 'an address for holders that is none',
    env: { PUBLIC_URL: 'llm.example.org' },
    says: /PUBLIC_URL: must be the address that holders/,
  },
  {
    name: 'an address for holders with a password',
    env: { PUBLIC_URL: 'https://a:secret@llm.example.org' },
    says: /PUBLIC_URL: must be .* without user/,
  },
  {
    name: 'a base address that is none',
    env: { OPENAI_BASE_URL: 'localhost:1' },
    says: /OPENAI_BASE_URL: "localhost:1" must be a URL/,
  },
  {
    name: 'a file that is not there',
    env: { CONFIG: '/nonexistent.yaml' },
    says: /CONFIG: the file \S+ does not exist/,
  },
  ...(
    [
      ['nothing else', { SIGN_ON_CLIENT_ID: 'a' }, /SIGN_ON_ISSUER: is needed/],
      ['an issuer by plain HTTP', { SIGN_ON_ISSUER: 'http://login.example.org' }, /SIGN_ON_ISSUER: .*https:/],
      ['no client', { SIGN_ON_ISSUER: 'https://login.example.org' }, /SIGN_ON_CLIENT_ID: is needed/],
      ['no address', { ...signOn, SIGN_ON_PUBLIC_URL: '' }, /SIGN_ON_PUBLIC_URL: is needed/],
      ['a path', { ...signOn, SIGN_ON_PUBLIC_URL: 'https://a.example/b' }, /SIGN_ON_PUBLIC_URL: .*origin/],
      ['no groups', { ...signOn, SIGN_ON_GROUPS: '' }, /SIGN_ON_GROUPS: must name 1 to 200 groups/],
      [
        'a scope of gateways',
        { ...signOn, SIGN_ON_GROUPS: 'a=verify' },
        /"a=verify" must be a group .* admin,/,
      ],
      ['no openid', { ...signOn, SIGN_ON_SCOPE: 'email' }, /SIGN_ON_SCOPE: must hold openid/],
      ['a wrong domain', { ...signOn, SIGN_ON_EMAIL_DOMAINS: '@a' }, /SIGN_ON_EMAIL_DOMAINS: "@a" must be/],
    ] as const
  ).map(([what, env, says]) => ({ name: `a sign-on with ${what}`, env, says })),
  {
    name: 'a sign-on with a scope that is none',
    file: 'signOn: { issuer: https://a.example, groups: { a: [root] } }',
    says: /signOn\.groups\.a\[0\]: /,
  },
  {
    name: 'sessions for ever',
    env: { SESSION_HOURS: '0' },
    says: /SESSION_HOURS: "0" must be a whole number/,
  },
  { name: 'no YAML', file: 'families: [', says: /tollgate\.yaml: is not valid YAML/ },
  { name: 'an unknown key', file: 'familys: []', says: /top level: unknown key "familys"/ },
  { name: 'an unknown key below', file: 'defaults: { request: 1 }', says: /defaults: unknown key "request"/ },
  {
    name: 'a number that is none',
    file: 'defaults: { requestsPerMinute: many }',
    says: /defaults\.requestsPerMinute: .*number/,
  },
  { name: 'a negative limit', file: 'defaults: { maxIps: -2 }', says: /defaults\.maxIps: / },
  {
    name: 'a family that is not defined',
    file: 'defaults: { limits: { gemini: 5 } }',
    says: /defaults\.limits\.gemini: is not a family; the families are gpt4-32k, turbo/,
  },
  {
    name: 'a family twice',
    file: 'families: [{name: a, models: [x]}, {name: a, models: [y]}]',
    says: /families: a is defined twice/,
  },
  { name: 'a time zone that is none', file: 'timeZone: Mars/Base', says: /timeZone: must be a time zone/ },
  {
    name: 'a provider that is none',
    file: 'upstreams: [{name: a, provider: aol, baseUrl: http://a, models: ["*"]}]',
    says: /upstreams\[0\]\.provider: "aol" must be one of/,
  },
  {
    name: 'a key that is not in the environment',
    file: 'upstreams: [{name: a, provider: openai, baseUrl: http://a, models: ["*"], apiKey: $NOPE}]',
    says: /upstreams\[0\]\.apiKey: names NOPE/,
  },
  { name: 'an unknown command', args: ['fly'], says: /there is no command "fly"/ },
  { name: 'an unknown option', args: ['--fly'], says: /--fly/ },
  { name: 'a key without a name', args: ['admin-key'], says: /name the key/ },
  {
    name: 'a scope that is none',
    args: ['admin-key', 'a', '--scope', 'root'],
    says: /--scope must be admin, verifier, users:read, .* or usage:write, not "root"/,
  },
  ...['0', '-1', '1.5', 'soon', '40000', ''].map((days) => ({
    name: `a key for ${JSON.stringify(days)} days`,
    args: ['admin-key', 'a', `--expires-in-days=${days}`],
    says: /--expires-in-days takes a whole number from 1 to 36500/,
  })),
  {
    name: 'an option of another command',
    args: ['start', '--scope', 'verifier'],
    says: /--scope goes with keys only/,
  },
  {
    name: 'a demo of another command',
    args: ['admin-key', 'a', '--demo'],
    says: /--demo goes with start only/,
  },
  {
    name: 'a demo for everybody',
    args: ['--demo'],
    env: { HOST: '0.0.0.0' },
    says: /HOST: the demo has a well-known admin key/,
  },
]

describe('wrong configuration stops the start with one line that names the key and what is allowed', {
  concurrency: 4,
}, () => {
  for (const { name, env = {}, file, args = [], says } of wrong) {
    it(name, () =>
      withFolder(async (folder) => {
        if (file !== undefined) writeFileSync(join(folder, 'tollgate.yaml'), file)
        const { code, output } = await runProgram(
          args,
          { DATA_DIR: join(folder, 'data'), PORT: '0', ...env },
          folder,
        )
        assert.equal(code, 2, output)
        assert.match(output, says)
        assert.equal(output.trim().split('\n').length, 1, output)
        assert.equal(existsSync(join(folder, 'data')), false, 'nothing was written')
      }),
    )
  }

  it('a port that is in use', () =>
    withFolder(async (folder) => {
      const server = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const address = server.address()
      const port = typeof address === 'object' && address ? String(address.port) : assert.fail()
      const { code, output } = await runProgram([], { DATA_DIR: folder, PORT: port })
      assert.equal(code, 1)
      assert.match(
        output,
        /^tollgate: 127\.0\.0\.1:\d+ is in use by another process: stop it, or set PORT\n$/,
      )
      server.close()
    }))
})
