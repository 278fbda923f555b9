import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createClaimCode } from '#core/claim.ts'
import { errorTable } from '#core/errors.ts'
import { withFolder } from './support/folder.ts'
import { type Answer, call } from './support/gateway-client.ts'
import { openPlanes, type Planes, planesAdminKey } from './support/planes.ts'
import { startProgram } from './support/process.ts'
import { anyDatabase, databases } from './support/stores.ts'

/** A link that shows an access token once, from its making to its holder, over HTTP. */
const admin = { authorization: `Bearer ${planesAdminKey}` }
const json = (answer: Answer) => JSON.parse(answer.text)
const codeOf = (link: string) => link.split('#')[1] ?? assert.fail(link)

let addresses = 0
/** Each test guesses from an address of its own. */
const anAddress = () => `198.51.100.${++addresses}`

for (const kind of databases) {
  describe(`links for holders on ${kind.name}`, () => {
    let planes: Planes
    before(async () => {
      planes = await openPlanes(kind)
    })
    after(() => planes.close())

    const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = admin) =>
      call(planes.port, { method, path, headers, ...(body !== undefined && { body }) })
    const post = (name: string, code: unknown, address = anAddress()) =>
      planes.from(address, { path: `/claim/${name}`, body: { code } })

    async function makeUser(edit: object = {}) {
      const made = await ask('POST', '/admin/users', { nickname: 'Ann', ...edit })
      return json(made) as { readonly id: string; readonly token: string }
    }
    async function makeLink(id: string, body: object = {}) {
      const made = await ask('POST', `/admin/users/${id}/claim`, body)
      assert.equal(made.status, 200, made.text)
      return json(made) as { readonly id: string; readonly link: string; readonly expiresAt: number }
    }

    it('show the access token to the holder, once, however often the page was looked at before', async () => {
      const user = await makeUser()
      const { link, expiresAt, id } = await makeLink(user.id)
      assert.equal(link, `${planes.origin}/claim#${codeOf(link)}`)
      const code = codeOf(link)
      for (const method of ['GET', 'HEAD'])
        assert.equal((await ask(method, '/claim', undefined, {})).status, 200)
      for (let times = 0; times < 2; times += 1)
        assert.deepEqual(json(await post('look', code)), { nickname: 'Ann', expiresAt, rotates: false })
      const taken = await post('take', code)
      assert.deepEqual([taken.status, json(taken)], [200, { nickname: 'Ann', accessToken: user.token }])
      const usage = await ask('GET', '/v1/usage', undefined, { authorization: `Bearer ${user.token}` })
      assert.equal(usage.status, 200)
      assert.equal((await post('take', code)).status, 404)
      const [listed] = json(await ask('GET', `/admin/users/${user.id}/claims`)).claims
      assert.deepEqual([listed.id, listed.state, listed.link], [id, 'used', undefined])
    })

    it('hand out an access token that no administrator was shown, and the one before works for the grace', async () => {
      const user = await makeUser()
      const { link } = await makeLink(user.id, { rotate: true, graceMinutes: 60 })
      const looked = json(await post('look', codeOf(link)))
      assert.deepEqual([looked.rotates, looked.graceMs], [true, 3_600_000])
      const { accessToken, previousUntil } = json(await post('take', codeOf(link)))
      assert.notEqual(accessToken, user.token)
      assert.ok(Math.abs(previousUntil - planes.wall.now - 3_600_000) < 10_000)
      for (const each of [accessToken, user.token]) {
        const { status } = await ask('GET', '/v1/usage', undefined, { authorization: `Bearer ${each}` })
        assert.equal(status, 200)
      }
      planes.wall.now += 3_600_000
      const old = await ask('GET', '/v1/usage', undefined, { authorization: `Bearer ${user.token}` })
      planes.wall.now -= 3_600_000
      assert.equal(old.status, 401)
    })

    it('are refused in the same words, whatever ended them', async () => {
      const user = await makeUser()
      const used = codeOf((await makeLink(user.id)).link)
      await post('take', used)
      const replaced = codeOf((await makeLink(user.id)).link)
      const revoked = await makeLink(user.id)
      const gone = await ask('DELETE', `/admin/users/${user.id}/claims/${revoked.id}`)
      assert.equal(json(gone).state, 'revoked')
      const expired = codeOf((await makeLink(user.id, { validMinutes: 1 })).link)
      planes.wall.now += 60_000
      const codes = [used, replaced, codeOf(revoked.link), expired, createClaimCode(), 'tgc-', user.token]
      for (const code of codes)
        for (const name of ['look', 'take']) {
          const answer = await post(name, code)
          const { error, code: why } = json(answer)
          assert.deepEqual([answer.status, why, error], [404, 'claim_ended', errorTable.claim_ended.message])
        }
      assert.match(errorTable.claim_ended.message, /new one/)
      planes.wall.now -= 60_000
    })

    it('of a blocked user say so without the access token, and work when the block is over', async () => {
      const user = await makeUser()
      const code = codeOf((await makeLink(user.id)).link)
      await ask('DELETE', `/admin/users/${user.id}?disabledReason=on%20leave`)
      for (const name of ['look', 'take']) {
        const answer = await post(name, code)
        assert.deepEqual([answer.status, json(answer).code], [403, 'user_disabled'])
        assert.match(json(answer).error, /disabled: on leave\. Ask the administrator/)
      }
      await ask('PUT', `/admin/users/${user.id}`, { disabledAt: null, expiresAt: planes.wall.now + 1_000 })
      planes.wall.now += 1_000
      const expired = await post('take', code)
      assert.deepEqual([expired.status, json(expired).code], [403, 'user_expired'])
      await ask('PUT', `/admin/users/${user.id}`, { expiresAt: null })
      assert.equal(json(await post('take', code)).accessToken, user.token)
    })

    it('count wrong codes as guesses, and a right one from the same address opens all the same', async () => {
      const user = await makeUser()
      const code = codeOf((await makeLink(user.id)).link)
      const address = anAddress()
      const statuses: number[] = []
      for (let times = 0; times < 13; times += 1)
        statuses.push((await post(times % 2 ? 'look' : 'take', createClaimCode(), address)).status)
      assert.deepEqual(statuses, [...Array<number>(11).fill(404), 429, 429])
      const malformed = await post('look', 'no code at all', address)
      assert.equal(malformed.status, 429)
      assert.ok(Number(malformed.headers['retry-after']) > 0)
      assert.equal((await post('take', code, address)).status, 200)
      const repeated = anAddress()
      for (let times = 0; times < 15; times += 1)
        assert.equal((await post('take', code, repeated)).status, 404, 'a used link that is opened again')
    })

    it('are written down with their user: made, used, revoked, by whom and from where', async () => {
      const user = await makeUser()
      const first = await makeLink(user.id, { rotate: true })
      await post('take', codeOf(first.link), '203.0.113.77')
      const second = await makeLink(user.id)
      await ask('DELETE', `/admin/users/${user.id}/claims/${second.id}`)
      const { changes } = json(await ask('GET', `/admin/audit?object=${user.id}`))
      const told = changes
        .toReversed()
        .map((change: { kind: string; actor: object; address?: string }) => [
          change.kind,
          change.actor,
          change.address,
        ])
      const key = { kind: 'configured_key', id: 'adk_environment', name: 'environment' }
      const holder = { kind: 'claim', id: first.id }
      assert.deepEqual(told, [
        ['user.created', key, '127.0.0.1'],
        ['user.claim_made', key, '127.0.0.1'],
        ['user.claim_used', holder, '203.0.113.77'],
        ['user.token_rotated', holder, '203.0.113.77'],
        ['user.claim_made', key, '127.0.0.1'],
        ['user.claim_revoked', key, '127.0.0.1'],
      ])
      const byClaim = json(await ask('GET', `/admin/audit?actor=${first.id}`))
      assert.equal(byClaim.changes.length, 2)
    })

    it('are made by keys that may show access tokens, and make them anew by those that may write as well', async () => {
      const user = await makeUser()
      const keyOf = async (...scopes: string[]) => {
        const { key } = json(await ask('POST', '/admin/keys', { name: scopes.join(), scopes }))
        return { authorization: `Bearer ${key}` }
      }
      const path = `/admin/users/${user.id}/claim`
      const [showing, writing, both] = [
        await keyOf('tokens:reveal'),
        await keyOf('users:write'),
        await keyOf('users:write', 'tokens:reveal'),
      ]
      assert.equal((await ask('POST', path, {}, writing)).status, 403)
      const refused = await ask('POST', path, { rotate: true }, showing)
      assert.deepEqual([refused.status, json(refused).code], [403, 'forbidden'])
      assert.match(json(refused).error, /users:write/)
      assert.equal((await ask('POST', path, { rotate: true }, both)).status, 200)
      const { link, id } = json(await ask('POST', path, {}, showing))
      assert.equal((await ask('DELETE', `${path}s/${id}`, undefined, showing)).status, 403)
      const keys = json(await ask('GET', '/admin/keys')).keys
      const own = keys.find((each: { name: string }) => each.name === 'tokens:reveal')
      assert.equal((await post('look', codeOf(link))).status, 200)
      await ask('DELETE', `/admin/keys/${own.id}`)
      assert.equal((await post('take', codeOf(link))).status, 404)
    })

    it('end with their key at the latest', async () => {
      const user = await makeUser()
      const expiresAt = planes.wall.now + 3_600_000
      const body = { name: 'short', scopes: ['tokens:reveal'], expiresAt }
      const { key } = json(await ask('POST', '/admin/keys', body))
      const made = await ask('POST', `/admin/users/${user.id}/claim`, {}, { authorization: `Bearer ${key}` })
      assert.equal(json(made).expiresAt, expiresAt)
    })

    it('are never open and shown after a kill, and open ones work on', () =>
      withFolder(async (folder) => {
        const database = await kind.create()
        const env = {
          DATA_DIR: folder,
          ...database.env,
          PORT: '0',
          ADMIN_KEY: planesAdminKey,
          LOG_LEVEL: 'warn',
        }
        const taken = new Map<string, string>()
        const links: { readonly userId: string; readonly code: string }[] = []
        const first = startProgram([], env, folder)
        try {
          const port = Number(new URL(await first.listening).port)
          const send = (path: string, body: unknown) => call(port, { path, headers: admin, body })
          for (let index = 0; index < 40; index += 1) {
            const { id: userId } = json(await send('/admin/users', {}))
            const { link } = json(await send(`/admin/users/${userId}/claim`, { rotate: index % 2 === 0 }))
            links.push({ userId, code: codeOf(link) })
          }
          // The last ones are not asked for: on a slow machine all others may be used before the kill.
          const all = links.slice(0, -5).map(async ({ code }, index) => {
            await wait(index)
            const answer = await call(port, { path: '/claim/take', body: { code } }).catch(() => undefined)
            if (answer?.status !== 200 || !answer.isWhole) return
            taken.set(code, json(answer).accessToken)
            if (taken.size === 5) first.process.kill('SIGKILL')
          })
          await Promise.all(all)
          await first.exit
        } finally {
          first.process.kill('SIGKILL')
        }
        assert.ok(taken.size >= 5 && taken.size < links.length, `${taken.size} were taken`)
        const second = startProgram([], env, folder)
        try {
          const port = Number(new URL(await second.listening).port)
          let open = 0
          for (const { userId, code } of links) {
            const listed = await call(port, {
              method: 'GET',
              path: `/admin/users/${userId}/claims`,
              headers: admin,
            })
            const { state } = json(listed).claims[0]
            if (state === 'open') open += 1
            const { token } = json(
              await call(port, { method: 'GET', path: `/admin/users/${userId}`, headers: admin }),
            )
            if (taken.has(code)) assert.deepEqual([state, token], ['used', taken.get(code)])
            const again = await call(port, { path: '/claim/take', body: { code } })
            assert.equal(again.status === 200, state === 'open', 'many used links from one place are guesses')
          }
          assert.ok(open > 0, 'some were open')
        } finally {
          second.process.kill('SIGKILL')
          await second.exit
          await database.remove()
        }
      }))
  })
}

describe('the address of a link', () => {
  type Ask = (headers: Record<string, string>) => Promise<Answer>
  async function withLinks(env: Record<string, string>, run: (ask: Ask) => Promise<void>) {
    const planes = await openPlanes(anyDatabase, env)
    try {
      const port = planes.adminPort
      const { id } = json(await call(port, { path: '/admin/users', headers: admin, body: {} }))
      const path = `/admin/users/${id}/claim`
      await run((headers) => call(port, { path, headers: { ...admin, ...headers }, body: {} }))
    } finally {
      await planes.close()
    }
  }
  const startOf = (answer: Answer) => String(json(answer).link).split('#')[0]
  const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }

  it('is PUBLIC_URL, whatever the request says', () =>
    withLinks({ PUBLIC_URL: 'https://example.org:8443/llm/' }, async (ask) => {
      const made = await ask({ ...forged, host: 'evil.example' })
      assert.equal(startOf(made), 'https://example.org:8443/llm/claim')
    }))

  it('is else the host that the request names, by TLS away from this machine', () =>
    withLinks({}, async (ask) => {
      for (const [host, start] of [
        ['llm.example.org', 'https://llm.example.org/claim'],
        ['localhost:8080', 'http://localhost:8080/claim'],
        ['[::1]:8080', 'http://[::1]:8080/claim'],
      ] as const)
        assert.equal(startOf(await ask({ ...forged, host })), start)
      for (const host of ['a/b', 'user@example.org', 'example.org#', 'a b'])
        assert.equal((await ask({ host })).status, 400, host)
    }))

  it('has to be told where the admin API has a listener of its own', async () => {
    await withLinks({ ADMIN_PORT: '0' }, async (ask) => {
      const refused = await ask({})
      assert.deepEqual([refused.status, json(refused).code], [409, 'conflict'])
      assert.match(json(refused).error, /PUBLIC_URL/)
    })
    const env = { ADMIN_PORT: '0', PUBLIC_URL: 'https://llm.example.org' }
    await withLinks(env, async (ask) => assert.equal(startOf(await ask({})), 'https://llm.example.org/claim'))
  })
})

describe('the page of a link', () => {
  let planes: Planes
  before(async () => {
    planes = await openPlanes(anyDatabase, { ADMIN_PORT: '0' })
  })
  after(() => planes.close())
  const get = (path: string) => call(planes.port, { method: 'GET', path })

  it('runs its own files alone, is kept nowhere, and tells no other site where it was', async () => {
    const { headers, status } = await get('/claim?from=a-chat')
    assert.equal(status, 200)
    assert.match(String(headers['content-type']), /^text\/html/)
    const policy = String(headers['content-security-policy'])
    assert.ok(
      policy.startsWith("default-src 'none'; script-src 'self'") && !/unsafe|\*|data:|https?:/.test(policy),
    )
    for (const part of ["connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"])
      assert.ok(policy.includes(part), part)
    assert.deepEqual(
      [
        headers['cache-control'],
        headers['referrer-policy'],
        headers['x-frame-options'],
        headers['x-content-type-options'],
      ],
      ['no-store', 'no-referrer', 'DENY', 'nosniff'],
    )
    for (const [path, type] of [
      ['/claim/page.js', /^text\/javascript/],
      ['/claim/page.css', /^text\/css/],
    ] as const) {
      const file = await get(path)
      assert.equal(file.status, 200)
      assert.match(String(file.headers['content-type']), type)
    }
    const refused = await call(planes.port, { path: '/claim/take', body: { code: createClaimCode() } })
    assert.deepEqual([refused.status, refused.headers['cache-control']], [404, 'no-store'])
  })

  it('finds in itself whatever its script looks for, and refers to its own files, with any path in front', () => {
    const folder = join(import.meta.dirname, '..', 'src', 'account', 'claims', 'page')
    const [html, script, style] = ['page.html', 'page.js', 'page.css'].map((file) =>
      readFileSync(join(folder, file), 'utf8'),
    )
    assert.ok(html && script && style)
    const looked = [...script.matchAll(/\bat\('(\w+)'\)|show\('(\w+)'\)/g)].map(([, one, two]) => one ?? two)
    assert.ok(looked.length > 10)
    for (const id of looked) assert.ok(html.includes(`id="${id}"`), `#${id}`)
    const references = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, reference]) => reference)
    assert.deepEqual(references, ['claim/page.css', 'claim/page.js'])
    assert.doesNotMatch(html + style, /<style|style="|\son\w+="|@import|url\(/)
    assert.doesNotMatch(script, /innerHTML|insertAdjacentHTML|document\.write|https?:\/\//)
  })

  it('has few methods and paths, takes JSON alone, and answers no page of another site', async () => {
    for (const [method, path, status] of [
      ['POST', '/claim', 405],
      ['GET', '/claim/look', 405],
      ['GET', '/claim/take', 405],
      ['GET', '/claim/', 404],
      ['GET', '/claim/page.map', 404],
      ['GET', '/claims', 404],
    ] as const)
      assert.equal((await call(planes.port, { method, path })).status, status, `${method} ${path}`)
    const send = (body: unknown, headers = {}) => call(planes.port, { path: '/claim/look', body, headers })
    for (const body of ['', '{', '[]', '7', '{}', { code: 7 }, { code: '' }, { code: 'x'.repeat(600) }])
      assert.equal((await send(body)).status, 400, JSON.stringify(body))
    assert.equal((await send({ code: 'x', more: 'x'.repeat(5_000) })).status, 413)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await send('code=x', form)).status, 415)
    const other = await call(planes.port, {
      method: 'OPTIONS',
      path: '/claim/take',
      headers: { origin: 'https://other.example', 'access-control-request-method': 'POST' },
    })
    assert.equal(other.headers['access-control-allow-origin'], undefined)
  })
})
