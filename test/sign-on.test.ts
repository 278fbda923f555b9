import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openSignOn } from '#admin/sign-on/provider.ts'
import { type SignOnSettings, signOnCallbackPath } from '#core/sign-on.ts'
import { createLog } from '#http/log.ts'
import { atProvider, Browser, signInAt } from './support/browser.ts'
import { withFolder } from './support/folder.ts'
import { freePort } from './support/free-port.ts'
import { type Program, startProgram } from './support/process.ts'
import {
  clientId,
  clientSecret,
  openProvider,
  type ProviderOptions,
  type SignOnProvider,
} from './support/sign-on-provider.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/** Administrators who log in at a provider of OpenID Connect: a real one, and the real program. */
const persons = {
  ann: { email: 'Ann@example.org', email_verified: true, groups: ['staff', 'admins'] },
  bob: { preferred_username: 'bob', groups: ['helpdesk', 'readers', 'others'] },
  eve: { name: '<b>Eve</b>\u001b[2J', groups: ['others'] },
  lost: { _claim_names: { groups: 'src1' } },
} as const
const groups = 'admins=admin, helpdesk=users:read, readers=usage:read+users:read'
const adminKey = 'an-admin-key-of-the-environment-of-a-test'
const startPath = '/admin/sessions/sign-on'

for (const kind of databases) {
  describe(`sign-on in ${kind.name}`, () => {
    let database: TestDatabase
    let provider: SignOnProvider
    let port: number
    let program: Program
    let url: string
    const withDataDir = async (more: Record<string, string> = {}) => {
      const env = { ...envOf(provider, port), ...database.env, ADMIN_KEY: adminKey, ...more }
      const started = startProgram([], env)
      await started.listening
      return started
    }
    before(async () => {
      database = await kind.create()
      port = await freePort()
      url = `http://127.0.0.1:${port}`
      provider = await openProvider({ persons, redirectUris: [`${url}${signOnCallbackPath}`] })
      program = await withDataDir()
    })
    after(async () => {
      await stop(program)
      await provider.close()
      await database.remove()
    })

    const ask = async (browser: Browser, path: string, init?: RequestInit) => {
      const answer = await browser.open(url + path, {
        ...init,
        headers: { accept: 'application/json', 'sec-fetch-site': 'same-origin' },
      })
      const text = await answer.text()
      return { status: answer.status, json: text.startsWith('{') ? JSON.parse(text) : undefined }
    }
    const signIn = async (person: string) => {
      const browser = new Browser()
      const answer = await browser.open(await signInAt(browser, url + startPath, person))
      return { browser, status: answer.status, text: await answer.text() }
    }
    const changes = async (filter: string) => {
      const answer = await fetch(`${url}/admin/audit?${filter}`, {
        headers: { authorization: `Bearer ${adminKey}` },
      })
      return JSON.parse(await answer.text()).changes
    }

    it('opens a session with the scopes of the groups, which names the person wherever it stands', async () => {
      const browser = new Browser()
      const back = await signInAt(browser, `${url}${startPath}?returnTo=/docs%3Fa=%22`, 'bob')
      const answer = await browser.open(back)
      const page = await answer.text()
      assert.equal(answer.status, 200, page)
      assert.match(page, /http-equiv="refresh" content="0; url=\/docs\?a=&quot;"/)
      assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
      assert.match(answer.headers.getSetCookie().join('\n'), /tollgate-session=tgs-\w{40}; .*SameSite=Strict/)
      assert.equal(browser.cookie('tollgate-sign-on'), undefined, 'what was pending is gone')
      const { json } = await ask(browser, '/admin/sessions/current')
      assert.deepEqual([json.key.name, json.scopes], ['bob', ['users:read', 'usage:read']])
      assert.deepEqual(json.person, { subject: 'bob', groups: ['helpdesk', 'readers'] })
      assert.match(json.key.id, /^sso_[0-9a-f]{24}$/)
      assert.deepEqual(
        await Promise.all(
          ['/admin/users?limit=1', '/admin/requests', '/admin/keys', '/admin/whoami'].map(
            async (path) => (await ask(browser, path)).status,
          ),
        ),
        [200, 200, 403, 200],
      )
      assert.equal((await ask(browser, '/admin/sessions')).json.count, 1, 'its own alone')
      const [opened] = await changes(`object=${json.id}&kind=session.opened`)
      assert.deepEqual(opened.actor, { kind: 'sign_on', id: json.key.id, name: 'bob' })
      const { keyId, subject, groups: counted, scopes } = opened.after
      assert.deepEqual(
        [keyId, subject, counted, scopes],
        [json.key.id, 'bob', ['helpdesk', 'readers'], 'users:read usage:read'],
      )
      assert.equal((await ask(browser, '/admin/sessions/current', { method: 'DELETE' })).status, 200)
      assert.equal((await ask(browser, '/admin/sessions/current')).status, 401)
    })

    it('writes changes by the session of the person, and gives a program the session as JSON', async () => {
      const browser = new Browser()
      const back = await signInAt(browser, url + startPath, 'ann')
      const answer = await browser.open(back, { headers: { accept: 'application/json' } })
      const session = JSON.parse(await answer.text())
      assert.deepEqual([session.key.name, session.scopes], ['ann@example.org', ['admin']])
      const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' }
      const made = await browser.open(`${url}/admin/users`, { method: 'POST', body: '{}', headers })
      const { id } = JSON.parse(await made.text())
      const [created] = await changes(`object=${id}`)
      assert.deepEqual(created.actor, { kind: 'session', id: session.id, name: 'ann@example.org' })
      const claim = await browser.open(`${url}/admin/users/${id}/claim`, {
        method: 'POST',
        body: '{}',
        headers,
      })
      const { link } = JSON.parse(await claim.text())
      assert.match(link, /^http:\/\/127\.0\.0\.1:/)
      const listed = await browser.open(`${url}/admin/users/${id}/claims`)
      assert.equal(JSON.parse(await listed.text()).claims[0].state, 'open', 'although no key has made it')
      const factor = `${url}/admin/keys/${session.key.id}/second-factor`
      assert.equal((await browser.open(factor, { method: 'POST', body: '{}', headers })).status, 404)
    })

    it('refuses those whose groups allow nothing, says what to do, and writes it down', async () => {
      const eve = await signIn('eve')
      assert.equal(eve.status, 403)
      assert.match(eve.text, /&lt;b&gt;Eve&lt;\/b&gt;\[2J is in no group/)
      assert.equal(eve.browser.cookie('tollgate-session'), undefined)
      const lost = await signIn('lost')
      assert.deepEqual([lost.status, /more groups than the provider lists/.test(lost.text)], [403, true])
      const [failed] = await changes('kind=login.failed')
      assert.deepEqual([failed.after.signOn, failed.after.subject], ['no_group', 'eve'])
    })

    it('takes an answer of the provider once, and of the browser that began it alone', async () => {
      const browser = new Browser()
      const back = await signInAt(browser, url + startPath, 'ann')
      const pending = browser.cookie('tollgate-sign-on') ?? assert.fail()
      const before = provider.exchanges()
      const other = new Browser()
      assert.equal((await other.open(back)).status, 400, 'another browser')
      await signInAt(other, url + startPath, 'bob')
      assert.equal((await other.open(back)).status, 400, 'the state of another sign-on')
      const wrong = new URL(back)
      wrong.searchParams.set('state', 'x')
      other.set('tollgate-sign-on', pending)
      assert.equal((await other.open(wrong.href)).status, 400)
      other.set('tollgate-sign-on', `${pending.slice(0, -8)}AAAAAAAA`)
      assert.equal((await other.open(back)).status, 400, 'a cookie that was altered')
      assert.equal(provider.exchanges(), before, 'none of them reached the provider')
      assert.equal((await browser.open(back, { method: 'HEAD' })).status, 405, 'it would use up the code')
      browser.set('tollgate-sign-on', pending)
      assert.equal((await browser.open(back)).status, 200)
      browser.set('tollgate-sign-on', pending)
      const again = await browser.open(back, { headers: { accept: 'application/json' } })
      assert.deepEqual([again.status, JSON.parse(await again.text()).code], [400, 'bad_request'])
    })

    it('says of the denial of the provider that it is one', async () => {
      const browser = new Browser()
      await browser.open(url + startPath)
      const begun = new URL(await signInAt(browser, url + startPath, 'ann'))
      begun.searchParams.delete('code')
      begun.searchParams.set('error', 'access_denied')
      const answer = await browser.open(begun.href)
      assert.deepEqual([answer.status, /provider has refused/.test(await answer.text())], [403, true])
    })

    it('sends the browser to no other host', async () => {
      for (const returnTo of [
        '//evil.example',
        '/\\evil.example',
        'https://evil.example',
        'docs',
        '/a\nb',
        '',
      ]) {
        const path = `${startPath}?returnTo=${encodeURIComponent(returnTo)}`
        assert.equal((await new Browser().open(url + path)).status, 400, returnTo)
      }
    })

    it('is described, and prints no code, cookie or secret', async () => {
      const browser = new Browser()
      const back = await signInAt(browser, url + startPath, 'ann')
      const pending = decodeURIComponent(browser.cookie('tollgate-sign-on') ?? '')
      await browser.open(back)
      const description = JSON.parse(await (await fetch(`${url}/openapi.json`)).text())
      assert.deepEqual(description.paths[startPath].get.security, [])
      assert.deepEqual(Object.keys(description.paths[signOnCallbackPath].get.responses), [
        '200',
        '400',
        '403',
        '429',
        '502',
      ])
      const settings = await fetch(`${url}/admin/settings`, {
        headers: { authorization: `Bearer ${adminKey}` },
      })
      const texts = [program.output(), await settings.text(), JSON.stringify(await changes('limit=500'))]
      const { code, state } = Object.fromEntries(new URL(back).searchParams)
      for (const secret of [code, state, pending, clientSecret, browser.cookie('tollgate-session')]) {
        assert.ok(secret !== undefined && secret.length > 10)
        assert.ok(!texts.some((text) => text.includes(secret)), secret)
      }
    })

    it('allows no more than the groups do since, after a restart with other settings', async () => {
      const { browser, status } = await signIn('bob')
      assert.equal(status, 200)
      const cookie = browser.cookie('tollgate-session') ?? assert.fail()
      const scopesWith = async (more: Record<string, string>) => {
        await stop(program)
        program = await withDataDir(more)
        browser.set('tollgate-session', cookie)
        const { json } = await ask(browser, '/admin/sessions/current')
        return json.scopes ?? json.code
      }
      assert.deepEqual(await scopesWith({ SIGN_ON_GROUPS: 'helpdesk=admin' }), ['users:read', 'usage:read'])
      assert.deepEqual(await scopesWith({ SIGN_ON_GROUPS: 'readers=usage:read' }), ['usage:read'])
      assert.equal(await scopesWith({ SIGN_ON_GROUPS: 'admins=admin' }), 'session_ended')
      assert.equal(await scopesWith({ SIGN_ON_ISSUER: 'http://127.0.0.1:1' }), 'session_ended', 'of another')
      assert.deepEqual(await scopesWith({}), ['users:read', 'usage:read'])
    })

    if (kind.name === 'PostgreSQL')
      it('begins at one instance and ends at another, whose sessions are the same', async () => {
        const otherPort = await freePort()
        const other = await withDataDir({ PORT: String(otherPort) })
        try {
          const browser = new Browser()
          const back = new URL(await signInAt(browser, url + startPath, 'ann'))
          back.port = String(otherPort)
          assert.equal((await browser.open(back.href)).status, 200)
          assert.equal((await ask(browser, '/admin/sessions/current')).json.key.name, 'ann@example.org')
        } finally {
          await stop(other)
        }
      })
  })
}

describe('the provider of a sign-on', () => {
  const redirectUris = [`http://127.0.0.1:9${signOnCallbackPath}`]
  const log = createLog({ level: 'silent' })
  const key = Buffer.alloc(32, 1).toString('base64url')
  const signOnFor = (issuer: string, more: Partial<SignOnSettings> = {}) =>
    openSignOn(
      {
        ...{ issuer, clientId, clientSecret, publicUrl: 'http://127.0.0.1:9', emailDomains: [] },
        ...{ groups: { admins: ['admin'] }, groupsClaim: 'groups', scope: 'openid profile email', ...more },
      },
      { key, log, clock: Date.now },
    )
  type Opened = ReturnType<typeof signOnFor>
  const withProvider = async (
    use: (provider: SignOnProvider) => Promise<unknown>,
    more: Partial<ProviderOptions> = {},
  ) => {
    const provider = await openProvider({ persons, redirectUris, ...more })
    try {
      await use(provider)
    } finally {
      await provider.close()
    }
  }
  const begun = async (signOn: Opened, person = 'ann') => {
    const started = await signOn.begin('/docs')
    assert.ok(started.kind === 'begun')
    const back = new URL(await atProvider(new Browser(), started.url, person))
    return { query: back.search.slice(1), pending: started.pending, url: new URL(started.url) }
  }

  it('is sent a challenge of PKCE, a state and a nonce, each anew', () =>
    withProvider(async ({ issuer }) => {
      const signOn = signOnFor(issuer)
      const [one, two] = [await begun(signOn), await begun(signOn)]
      for (const name of ['state', 'nonce', 'code_challenge']) {
        const value = one.url.searchParams.get(name) ?? ''
        assert.ok(value.length >= 43, name)
        assert.notEqual(value, two.url.searchParams.get(name), name)
      }
      assert.equal(one.url.searchParams.get('code_challenge_method'), 'S256')
      assert.equal(one.url.searchParams.get('redirect_uri'), redirectUris[0])
    }))

  it('answers only for the nonce and the verifier with which it was begun', () =>
    withProvider(async ({ issuer }) => {
      const signOn = signOnFor(issuer)
      for (const wrong of [
        { nonce: 'another-nonce' },
        { codeVerifier: 'x'.repeat(43) },
        { state: 'another-state' },
      ]) {
        const { query, pending } = await begun(signOn)
        assert.deepEqual(
          await signOn.finish(query, { ...pending, ...wrong }),
          { kind: 'refused', why: 'wrong' },
          JSON.stringify(wrong),
        )
      }
      const { query, pending } = await begun(signOn)
      const iss = new URLSearchParams(query)
      iss.set('iss', 'http://127.0.0.1:1')
      assert.equal((await signOn.finish(iss.toString(), pending)).kind, 'refused', 'of another issuer')
      assert.equal((await signOn.finish(query, pending)).kind, 'named')
    }))

  it('may put the claims into the ID token or into the user info', async () => {
    for (const isInIdToken of [true, false])
      await withProvider(
        async ({ issuer }) => {
          const signOn = signOnFor(issuer, { emailDomains: ['example.org'] })
          const { query, pending } = await begun(signOn)
          const ended = await signOn.finish(query, pending)
          assert.ok(ended.kind === 'named', JSON.stringify(ended))
          assert.deepEqual(
            [ended.person.subject, ended.person.name, ended.person.groups],
            ['ann', 'ann@example.org', ['admins']],
          )
        },
        { isInIdToken },
      )
  })

  it('may be down, and change its keys: each sign-on asks again', async () => {
    let port = 0
    const signOn = await withLost((issuer) => signOnFor(issuer))
    assert.deepEqual(await signOn.opened.begin('/docs'), { kind: 'unavailable' })
    port = signOn.port
    await withProvider(
      async () => {
        const deadline = Date.now() + 10_000
        while ((await signOn.opened.begin('/docs')).kind !== 'begun' && Date.now() < deadline)
          await new Promise((resolve) => setTimeout(resolve, 100))
        const { query, pending } = await begun(signOn.opened)
        assert.equal((await signOn.opened.finish(query, pending)).kind, 'named')
      },
      { port },
    )
    const { query, pending } = await signOnWhileUp(signOn.opened, port)
    assert.deepEqual(await signOn.opened.finish(query, pending), { kind: 'unavailable' })
    await withProvider(
      async () => {
        const again = await begun(signOn.opened)
        assert.equal((await signOn.opened.finish(again.query, again.pending)).kind, 'named', 'other keys')
      },
      { port },
    )
  })

  it('is not believed where its signature is not that of its keys', () =>
    withProvider(
      async ({ issuer }) => {
        const signOn = signOnFor(issuer)
        const { query, pending } = await begun(signOn)
        assert.deepEqual(await signOn.finish(query, pending), { kind: 'refused', why: 'wrong' })
      },
      { hasOtherKeys: true },
    ))

  it('is not believed where it calls itself another one, or does not know the client', async () => {
    await withProvider(
      async ({ port }) => {
        const signOn = signOnFor(`http://127.0.0.1:${port}`)
        assert.deepEqual(await signOn.begin('/docs'), { kind: 'unavailable' })
      },
      { issuer: 'http://127.0.0.1:1' },
    )
    await withProvider(async ({ issuer }) => {
      const signOn = signOnFor(issuer, { clientSecret: 'not-the-secret' })
      const { query, pending } = await begun(signOn)
      assert.deepEqual(await signOn.finish(query, pending), { kind: 'unavailable' })
    })
  })

  async function withLost(open: (issuer: string) => Opened) {
    const port = await freePort()
    return { port, opened: open(`http://127.0.0.1:${port}`) }
  }

  /** A sign-on whose provider is gone when the browser comes back. */
  async function signOnWhileUp(signOn: Opened, port: number) {
    const provider = await openProvider({ persons, redirectUris, port })
    try {
      return await begun(signOn)
    } finally {
      await provider.close()
    }
  }
})

describe('a program whose provider is down', () => {
  it('starts, serves, and says at a sign-on that the provider cannot be reached', () =>
    withFolder(async (folder) => {
      const port = await freePort()
      const env = { ...envOf({ issuer: 'http://127.0.0.1:1' }, port), DATA_DIR: folder, ADMIN_KEY: adminKey }
      const program = startProgram([], env)
      try {
        const url = await program.listening
        const answer = await new Browser().open(url + startPath)
        assert.deepEqual([answer.status, /cannot be reached/.test(await answer.text())], [502, true])
        const headers = { authorization: `Bearer ${adminKey}` }
        assert.equal((await fetch(`${url}/admin/users`, { headers })).status, 200)
      } finally {
        await stop(program)
      }
    }))

  it('asks the provider for few wrong codes from one place', () =>
    withFolder(async (folder) => {
      const port = await freePort()
      const url = `http://127.0.0.1:${port}`
      const provider = await openProvider({ persons, redirectUris: [`${url}${signOnCallbackPath}`] })
      const env = { ...envOf(provider, port), DATA_DIR: folder, ADMIN_KEY: adminKey }
      const program = startProgram([], env)
      try {
        await program.listening
        const browser = new Browser()
        const back = new URL(await signInAt(browser, url + startPath, 'ann'))
        const pending = browser.cookie('tollgate-sign-on') ?? assert.fail()
        const statuses = await Promise.all(
          Array.from({ length: 60 }, async (_, index) => {
            const guesser = new Browser()
            guesser.set('tollgate-sign-on', pending)
            const guess = new URL(back)
            guess.searchParams.set('code', `wrong-${index}`)
            return (await guesser.open(guess.href)).status
          }),
        )
        assert.ok(provider.exchanges() <= 20, `${provider.exchanges()} of 60 reached the provider`)
        assert.ok(statuses.filter((status) => status === 429).length >= 40, String(statuses))
        const headers = { authorization: `Bearer ${adminKey}` }
        assert.equal((await fetch(`${url}/admin/users`, { headers })).status, 200, 'a key still opens')
      } finally {
        await stop(program)
        await provider.close()
      }
    }))
})

function envOf({ issuer }: Pick<SignOnProvider, 'issuer'>, port: number): Record<string, string> {
  return {
    PORT: String(port),
    SIGN_ON_ISSUER: issuer,
    SIGN_ON_CLIENT_ID: clientId,
    SIGN_ON_CLIENT_SECRET: clientSecret,
    SIGN_ON_PUBLIC_URL: `http://127.0.0.1:${port}`,
    SIGN_ON_GROUPS: groups,
  }
}

async function stop(program: Program): Promise<void> {
  program.process.kill('SIGTERM')
  await program.exit
}
