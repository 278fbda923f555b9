import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { withFolder } from './support/folder.ts'
import { type Answer, type Call, call, openRaw } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { openScripted, type Scripted } from './support/gateway-scripted.ts'
import { type Program, startProgram } from './support/process.ts'
import { closedFamilies, databases, type TestDatabase } from './support/stores.ts'

/**
 * Everything that the program can be asked to do, with secrets that are looked for afterwards: in what it prints,
 * in what lies on the disk, in its answers, and in what reached the upstreams. Each search is also made for
 * something that must be found, so that it cannot pass by looking in the wrong place.
 */
const secrets = {
  adminKey: 'sentinel-admin-key-7Qx2mVb9',
  openaiKey: 'sentinel-openai-key-Lw83hTzc',
  anthropicKey: 'sentinel-anthropic-key-Pd51nGyf',
  echoedKey: 'sentinel-echoed-key-Rk46jSuo',
  chosenToken: 'sentinel chosen/token+ü%-Hb92xCwe',
  plainToken: 'sentinel-plain-token-Zt17qMfa',
  disabledToken: 'sentinel-disabled-token-Nv60rKgi',
  limitedToken: 'sentinel-limited-token-Yc35uJdp',
  wrongCredential: 'sentinel-wrong-credential-Fe74oXlk',
  prompt: 'sentinel-prompt-Ua29wBhs',
  frontEndSecret: 'sentinel-front-end-secret-of-32-Bw41cVtz',
  masterKey: '5e'.repeat(32),
  masterKeyPrevious: '7c'.repeat(32),
  signOnSecret: 'sentinel-sign-on-secret-Kd48pWra',
}
type SecretName = keyof typeof secrets
const accessTokenNames = ['chosenToken', 'plainToken', 'disabledToken', 'limitedToken'] as const
const operatorNames = [
  'adminKey',
  'openaiKey',
  'anthropicKey',
  'echoedKey',
  'frontEndSecret',
  'masterKey',
  'masterKeyPrevious',
  'signOnSecret',
] as const

/** A secret as it stands, and as it is written in URLs, JSON, headers and the like. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const forms = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('latin1'),
    bytes.toString('hex'),
    ...[0, 1, 2].map((skipped) =>
      bytes
        .subarray(skipped)
        .toString('base64')
        .replace(/.{2}=*$/, ''),
    ),
    [...secret].reverse().join(''),
  ]
  return [...new Set([...forms, ...forms.map((form) => form.toLowerCase())])]
}

/** The names of the secrets that a text holds in whatever form, and its own most telling part. */
function found(text: string, names: readonly string[], known: Readonly<Record<string, string>>): string[] {
  const lower = text.toLowerCase()
  return names.filter((name) =>
    formsOf(known[name] ?? assert.fail()).some((form) => lower.includes(form.toLowerCase())),
  )
}

describe('secrets', () => {
  it('the search finds a secret in each of its forms', () => {
    for (const name of Object.keys(secrets) as SecretName[]) {
      const secret = secrets[name]
      const places = [secret, `x=${encodeURIComponent(secret)}`, JSON.stringify({ secret })]
      for (const lead of ['', 'a', 'ab']) places.push(Buffer.from(`${lead}${secret}`).toString('base64'))
      for (const place of places) assert.deepEqual(found(`<<${place}>>`, [name], secrets), [name], place)
    }
    assert.deepEqual(found('sentinel-', Object.keys(secrets), secrets), [])
  })

  for (const kind of databases) {
    describe(`after everything was done on ${kind.name}`, () => {
      let database: TestDatabase
      let openai: SimulatedUpstream
      let anthropic: SimulatedUpstream
      let echoing: Scripted
      let output = ''
      let disk = ''
      const answers = {
        admin: [] as string[],
        gateway: [] as string[],
        verifier: [] as string[],
        holder: [] as string[],
      }
      /** The answers that made an admin key, each the only one that may hold it. */
      const made: string[] = []
      let begunText = ''
      const requestIds: string[] = []
      const userIds: string[] = []
      const statuses = new Map<string, Set<number>>()
      /** What the program makes itself joins them: an access token, and keys that the API was asked for. */
      const known: Record<string, string> = { ...secrets }
      const tokenNames = [...accessTokenNames, 'generatedToken', 'rotatedToken', 'claimedToken']
      const keyNames = ['madeAdminKey', 'madeVerifierKey', 'deletedKey', 'maskedKey', 'turnedKey']
      const sessionNames = ['session', 'endedSession']
      const appNames = ['appSecret', 'recoveryCode']
      const codeNames = ['usedCode', 'openCode']
      const operatorsOwn = [...operatorNames, ...keyNames, ...sessionNames, ...appNames, ...codeNames]
      /** What the confirmed links showed, each the only answer for holders that may hold an access token. */
      const claimed: string[] = []

      before(() =>
        withFolder(async (folder) => {
          database = await kind.create()
          openai = await openSimulatedUpstream({
            port: 0,
            apiKey: secrets.openaiKey,
            behaviour: { chunkMs: 1 },
          })
          anthropic = await openSimulatedUpstream({
            port: 0,
            apiKey: secrets.anthropicKey,
            behaviour: { chunkMs: 1 },
          })
          // As the real ones do: it tells the credential that it refuses.
          echoing = await openScripted((request, response) => {
            const headers = { 'content-type': 'application/json', 'openai-organization': secrets.echoedKey }
            const message = `Incorrect API key provided: ${request.headers.authorization}`
            response.writeHead(401, headers).end(JSON.stringify({ error: { message } }))
          })
          const env = environmentIn(folder)
          const first = startProgram([], env, folder)
          await run(first, async (port) => {
            await makeKeys(port)
            await administer(port)
            await browse(port)
            await claimLinks(port)
            await seeMasked(port)
            await relay(port)
            await letVerify(port)
            await breakHttp(port)
            // The line of the last request is out, and with it all before: now it may die in the middle of a stream.
            await waitUntil(() => first.output().includes(requestIds.at(-1) ?? '?'), 'the log is written')
            const running = openRaw(port, {
              path: '/v1/chat/completions',
              accessToken: secrets.plainToken,
              body: chat({ model: 'gpt-4o@chunk-delay=50', stream: true }),
            })
            await waitUntil(() => running.received().includes('data:'), 'a stream runs')
            disk += await readStored(folder, database, ['tollgate.db', 'tollgate.db-wal'])
            first.process.kill('SIGKILL')
          })
          listUpstreams(folder, echoing.origin)
          const second = startProgram([], env, folder)
          await run(second, async (port) => {
            await anthropic.close()
            await fail(port)
            await Promise.all([openai.close(), echoing.close()])
            await fail(port)
            second.process.kill('SIGTERM')
          })
          disk += await readStored(folder, database, ['tollgate.db'])
          assert.equal(await second.exit, 0, second.output())
        }),
      )
      after(() => Promise.all([openai.close(), anthropic.close(), echoing.close(), database.remove()]))

      /** @param general where the models go that have no upstream of their own */
      function listUpstreams(folder: string, general: string): void {
        const slow = {
          name: 'slow',
          provider: 'openai',
          baseUrl: `${openai.url}/v1`,
          apiKey: '$OPENAI_API_KEY',
          headersTimeoutMs: 150,
          models: ['gpt-slow*'],
        }
        const echo = {
          name: 'echo',
          provider: 'openai',
          baseUrl: echoing.origin,
          apiKey: '$ECHOED_KEY',
          models: ['gpt-echo*'],
        }
        const rest = {
          name: 'rest',
          provider: 'openai',
          baseUrl: general,
          apiKey: '$OPENAI_API_KEY',
          models: ['*'],
          passRequestHeaders: ['x-simulate'],
        }
        const claude = {
          name: 'claude',
          provider: 'anthropic',
          baseUrl: anthropic.url,
          apiKey: '$ANTHROPIC_API_KEY',
          models: ['*'],
          passRequestHeaders: ['x-simulate'],
        }
        writeFileSync(
          join(folder, 'tollgate.yaml'),
          // Without a family for every other name, so that a text in the place of a model is refused.
          JSON.stringify({ families: closedFamilies, upstreams: [slow, echo, rest, claude] }),
        )
      }

      function environmentIn(folder: string): Record<string, string> {
        listUpstreams(folder, `${openai.url}/v1`)
        return {
          DATA_DIR: join(folder, 'data'),
          ...database.env,
          PORT: '0',
          LOG_LEVEL: 'debug',
          ADMIN_KEY: secrets.adminKey,
          MASTER_KEY: secrets.masterKey,
          MASTER_KEY_PREVIOUS: secrets.masterKeyPrevious,
          OPENAI_API_KEY: secrets.openaiKey,
          ANTHROPIC_API_KEY: secrets.anthropicKey,
          // Its provider is down; the sign-on with one that is up is looked through by the test of the sign-on.
          SIGN_ON_ISSUER: 'http://127.0.0.1:9',
          SIGN_ON_CLIENT_ID: 'tollgate',
          SIGN_ON_CLIENT_SECRET: secrets.signOnSecret,
          SIGN_ON_PUBLIC_URL: 'https://tollgate.example.org',
          SIGN_ON_GROUPS: 'admins=admin',
          ECHOED_KEY: secrets.echoedKey,
          // Guesses come from addresses of their own, so that they do not shut out the rest.
          TRUSTED_PROXIES: '127.0.0.1',
          BODY_BYTES_MAX: '100000',
        }
      }

      async function run(program: Program, work: (port: number) => Promise<void>): Promise<void> {
        try {
          await work(Number(new URL(await program.listening).port))
          await program.exit
        } finally {
          program.process.kill('SIGKILL')
          output += program.output()
        }
      }

      function note(plane: keyof typeof answers, { path, method = 'POST' }: Call, answer: Answer): Answer {
        answers[plane].push(`${JSON.stringify(answer.headers)}\n${answer.text}`)
        const id = answer.headers['x-request-id']
        if (typeof id === 'string') requestIds.push(id)
        const key = `${method} ${path.replace(/\?.*/, '')}`
        statuses.set(key, (statuses.get(key) ?? new Set()).add(answer.status))
        return answer
      }

      let guesses = 0
      const fromElsewhere = () => {
        guesses += 1
        return { 'x-forwarded-for': `203.0.113.${guesses}` }
      }

      async function administer(port: number): Promise<void> {
        const headers = { authorization: `Bearer ${secrets.adminKey}` }
        const ask = async (
          method: string,
          path: string,
          body?: unknown,
          more: Record<string, string> = {},
        ) => {
          const request = {
            method,
            path,
            headers: { ...headers, ...more },
            ...(body !== undefined && { body }),
          }
          return note('admin', request, await call(port, request))
        }
        const chosen = encodeURIComponent(secrets.chosenToken)
        const made = JSON.parse(
          (
            await ask(
              'POST',
              '/admin/users',
              { nickname: 'made' },
              { 'idempotency-key': secrets.wrongCredential },
            )
          ).text,
        )
        await ask(
          'POST',
          '/admin/users',
          { nickname: 'made' },
          { 'idempotency-key': secrets.wrongCredential },
        )
        await ask(
          'POST',
          '/admin/users',
          { nickname: 'other' },
          { 'idempotency-key': secrets.wrongCredential },
        )
        known.generatedToken = made.token
        for (const [token, edit] of [
          [chosen, { nickname: 'chosen' }],
          [secrets.plainToken, { nickname: 'plain' }],
          [secrets.disabledToken, {}],
          [secrets.limitedToken, { tokenLimits: { gpt4: 5, turbo: 5, claude: 5 }, requestsPerMinute: 3 }],
        ] as const) {
          const { id, token: answered } = JSON.parse((await ask('PUT', `/admin/users/${token}`, edit)).text)
          assert.ok(answered)
          userIds.push(id ?? '')
        }
        const portal = await ask('POST', '/admin/users', { nickname: 'portal' })
        const frontEnd = `/admin/users/${JSON.parse(portal.text).id}/front-end`
        const { frontEndSecret: secret } = secrets
        for (const body of [
          { kind: 'jwt', secret },
          { kind: 'jwt', header: `${secret} x` },
          { kind: 'jwt', secret: [secret] },
          { kind: 'member', secret },
          { kind: secret },
          `{"kind":"jwt","secret":"${secret}`,
        ])
          await ask('PUT', frontEnd, body)
        await ask('GET', frontEnd)
        known.portalToken = JSON.parse(portal.text).token
        // The path says whose user it is; a body that says another is refused.
        await ask('PUT', `/admin/users/${chosen}`, { token: secrets.plainToken })
        const everything = Object.values(secrets)
        for (const token of [
          chosen,
          ...everything.map(encodeURIComponent),
          known.generatedToken,
          `${chosen}%zz`,
          `${chosen}%ff`,
          `${chosen}/${chosen}`,
          `%2e%2e%2f${chosen}`,
        ]) {
          for (const method of ['GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST'])
            await ask(method, `/admin/users/${token}`)
        }
        for (const body of [
          `{"token":"${secrets.plainToken}"`,
          `"${secrets.plainToken}"`,
          { token: secrets.plainToken, type: secrets.plainToken, expiresAt: secrets.plainToken },
          { tokenLimits: { [secrets.plainToken]: 1 }, [secrets.plainToken]: secrets.plainToken },
          { nickname: `${secrets.plainToken}\u0000` },
          Buffer.concat([Buffer.from(`{"token":"${secrets.plainToken}`), Buffer.from([0xff])]),
          { token: 'x'.repeat(120_000) + secrets.plainToken },
        ]) {
          await ask('PUT', `/admin/users/${secrets.plainToken}`, body)
          await ask('POST', '/admin/users', body)
          await ask('PUT', '/admin/users', body)
          await ask('PUT', '/admin/users', { users: [{ token: secrets.plainToken }, body] })
        }
        await ask('PUT', '/admin/users', {
          users: [{ token: secrets.plainToken, adminNote: 'noted' }, { token: secrets.chosenToken }],
        })
        await ask('PUT', `/admin/users/${secrets.plainToken}`, {}, { 'if-match': `"${secrets.plainToken}"` })
        await ask('PUT', `/admin/users/${secrets.plainToken}`, secrets.plainToken, {
          'content-type': secrets.plainToken,
        })
        await ask('DELETE', `/admin/users/${secrets.disabledToken}?disabledReason=gone`)
        await ask(
          'DELETE',
          `/admin/users/${secrets.wrongCredential}?disabledReason=${secrets.plainToken}&x=%zz`,
        )
        for (const query of [
          '',
          `?q=${secrets.plainToken}`,
          `?cursor=${secrets.plainToken}`,
          `?sort=${secrets.plainToken}`,
          `?${secrets.plainToken}=1`,
          '?limit=2',
          '?q=%zz',
        ])
          await ask('GET', `/admin/users${query}`)
        for (const path of [
          `/admin/${secrets.plainToken}`,
          `/${secrets.plainToken}`,
          `//${secrets.plainToken}`,
          '/admin',
          '/docs',
          '/openapi.json',
          '/contract.yaml',
          '/healthz',
          '/readyz',
          `/healthz?${secrets.plainToken}`,
        ])
          for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS']) await ask(method, path)
        await ask('GET', '/admin/settings')
        for (let round = 0; round < 13; round += 1) {
          const wrong = {
            authorization: `Bearer ${secrets.wrongCredential}-${round}`,
            'x-forwarded-for': '203.0.113.250',
          }
          await ask('GET', `/admin/users/${secrets.plainToken}`, undefined, wrong)
        }
        for (const authorization of [
          secrets.adminKey,
          `Basic ${Buffer.from(`admin:${secrets.adminKey}`).toString('base64')}`,
          `Bearer ${secrets.adminKey}x`,
          `Bearer ${secrets.plainToken}`,
        ])
          await ask('GET', '/admin/users', undefined, { authorization, ...fromElsewhere() })
        const rotated = JSON.parse(
          (await ask('POST', `/admin/users/${made.id}/rotate`, { previousUntil: Date.now() + 3_600_000 }))
            .text,
        )
        known.rotatedToken = rotated.token
        await ask(
          'POST',
          `/admin/users/${known.rotatedToken}/rotate`,
          `{"previousUntil":"${known.rotatedToken}`,
        )
        for (const token of [...everything, known.generatedToken, known.rotatedToken]) {
          await ask('POST', '/admin/tokens/lookup', { token })
          await ask('POST', '/admin/tokens/lookup', { token, [secrets.plainToken]: token })
          await ask('POST', `/admin/tokens/lookup?token=${encodeURIComponent(String(token))}`, { token })
          await ask('POST', '/admin/tokens/lookup', `{"token":"${token}"`)
        }
        await ask('GET', '/admin/users', undefined, {
          accept: 'application/problem+json',
          authorization: 'Bearer',
          cookie: secrets.plainToken,
        })
      }

      async function makeKeys(port: number): Promise<void> {
        const ask = async (method: string, path: string, authorization: string, body?: unknown) => {
          const headers = { authorization: `Bearer ${authorization}`, ...fromElsewhere() }
          const request = { method, path, headers, ...(body !== undefined && { body }) }
          return [request, await call(port, request)] as const
        }
        const keyIds: Record<string, string> = {}
        for (const [name, body] of [
          ['madeAdminKey', { name: 'made', scopes: ['admin'], expiresAt: Date.now() + 3_600_000 }],
          ['madeVerifierKey', { name: 'edge', scopes: ['verifier'] }],
          ['deletedKey', { name: 'gone', scopes: ['admin', 'verifier'] }],
          ['maskedKey', { name: 'masked', scopes: ['users:write', 'usage:read', 'keys:write'] }],
        ] as const) {
          const [, answer] = await ask('POST', '/admin/keys', secrets.adminKey, body)
          made.push(answer.text)
          const { id, key } = JSON.parse(answer.text)
          known[name] = key
          keyIds[name] = id
        }
        const path = `/admin/keys/${keyIds.maskedKey}/rotate`
        const [, turned] = await ask('POST', path, secrets.adminKey, {
          previousUntil: Date.now() + 3_600_000,
        })
        made.push(turned.text)
        known.turnedKey = JSON.parse(turned.text).key
        const factor = `/admin/keys/${keyIds.madeAdminKey}/second-factor`
        const [, begun] = await ask('POST', factor, known.madeAdminKey ?? assert.fail())
        begunText = begun.text
        const { secret, recoveryCodes } = JSON.parse(begun.text)
        known.appSecret = secret
        known.recoveryCode = recoveryCodes[0]
        for (const code of [secret, recoveryCodes[0], known.madeAdminKey, 'x'.repeat(65)])
          for (const [path, body] of [
            [`${factor}/confirm`, { code }],
            [`${factor}/remove`, { code }],
            [`${factor}/${code}`, { code }],
            [`${factor}?code=${code}`, {}],
            ['/admin/sessions', `{"code":"${code}`],
          ] as const)
            note('admin', ...(await ask('POST', path, known.madeAdminKey ?? assert.fail(), body)))
        const keys = keyNames.map((name) => known[name] ?? assert.fail())
        for (const key of [secrets.adminKey, ...keys]) {
          for (const [method, path, body] of [
            ['GET', '/admin/keys'],
            ['GET', `/admin/keys?key=${key}`],
            ['DELETE', `/admin/keys/${key}`],
            ['GET', `/admin/keys/${key}`],
            ['PUT', `/admin/users/by-a-key`, {}],
            ['POST', '/admin/keys', { name: 'x', key }],
            ['POST', '/admin/keys', { name: 'x', scopes: [key], expiresAt: key }],
            ['POST', '/admin/keys', `{"name":"${key}`],
            ['POST', `/admin/keys/${key}/rotate`, { previousUntil: key }],
            ['GET', `/admin/sessions/${key}`],
            ['POST', '/admin/sessions', { code: key }],
            ['POST', `/admin/sessions?key=${key}`],
          ] as const)
            note('admin', ...(await ask(method, path, key, body)))
        }
        note('admin', ...(await ask('DELETE', `/admin/keys/${keyIds.deletedKey}`, secrets.adminKey)))
        note('admin', ...(await ask('GET', '/admin/keys', known.deletedKey ?? assert.fail())))
        note('admin', ...(await ask('DELETE', '/admin/keys/adk_environment', secrets.adminKey)))
      }

      /** As a browser does that is logged in. */
      async function browse(port: number): Promise<void> {
        const login = async () => {
          const headers = { authorization: `Bearer ${secrets.adminKey}`, host: `localhost:${port}` }
          const request = { path: '/admin/sessions', headers: { ...headers, 'x-forwarded-for': '127.0.0.1' } }
          const answer = await call(port, request)
          const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? ''
          made.push(`${cookie}\n${answer.text}`)
          return cookie
        }
        const [cookie, ended] = [await login(), await login()]
        known.session = cookie.split('=')[1] ?? assert.fail()
        known.endedSession = ended.split('=')[1] ?? assert.fail()
        const ask = async (method: string, path: string, own: string, more: object = {}) => {
          const headers = { cookie: own, host: `localhost:${port}`, 'x-forwarded-for': '127.0.0.1', ...more }
          const request = { method, path, headers }
          return note('admin', request, await call(port, request))
        }
        const page = { 'sec-fetch-site': 'same-origin' }
        for (const end of [
          '',
          `?returnTo=${secrets.wrongCredential}`,
          '/callback',
          `/callback?code=${secrets.wrongCredential}&state=x`,
        ])
          await ask('GET', `/admin/sessions/sign-on${end}`, cookie)
        const { id } = JSON.parse((await ask('GET', '/admin/sessions/current', ended)).text)
        await ask('DELETE', `/admin/sessions/${id}`, cookie, page)
        for (const own of [cookie, ended, `tollgate-session=${secrets.wrongCredential}`])
          for (const path of [
            '/admin/sessions',
            '/admin/users?limit=1',
            `/admin/sessions/${own}`,
            `/${own}`,
          ]) {
            await ask('GET', path, own)
            await ask('POST', path, own, page)
            await ask('DELETE', path, own, { 'sec-fetch-site': 'cross-site' })
            await ask('GET', path, own, { authorization: `Bearer ${secrets.adminKey}` })
          }
      }

      /** Links for holders, opened and confirmed, with codes where they belong and where they do not. */
      async function claimLinks(port: number): Promise<void> {
        const headers = { authorization: `Bearer ${secrets.adminKey}` }
        const administer = async (method: string, path: string, body?: object) => {
          const request = { method, path, headers: { ...headers, ...fromElsewhere() }, ...(body && { body }) }
          return [request, await call(port, request)] as const
        }
        const [, user] = await administer('POST', '/admin/users', { nickname: 'claimer' })
        const { id } = JSON.parse(user.text)
        const links: string[] = []
        for (const name of codeNames) {
          const path = `/admin/users/${id}/claim`
          const [, answer] = await administer('POST', path, {
            rotate: name === 'usedCode',
            graceMinutes: undefined,
          })
          made.push(answer.text)
          const { link } = JSON.parse(answer.text)
          links.push(link)
          known[name] = link.split('#')[1] ?? assert.fail()
          if (name !== 'usedCode') continue
          const body = { code: known[name] }
          note('holder', { path: '/claim/look' }, await call(port, { path: '/claim/look', body }))
          const taken = await call(port, { path: '/claim/take', body })
          claimed.push(taken.text)
          known.claimedToken = JSON.parse(taken.text).accessToken
        }
        const { claimedToken = assert.fail() } = known
        for (const name of codeNames) {
          const code = known[name] ?? assert.fail()
          for (const request of [
            { path: '/claim/look', body: { code } },
            { path: '/claim/look', body: `{"code":"${code}` },
            { path: '/claim/look', body: { code: { code } } },
            { path: `/claim/look?code=${code}`, body: { code } },
            { path: `/claim/${code}`, body: { code } },
            { method: 'GET', path: `/claim?code=${code}` },
            { path: '/claim/take', body: { code: claimedToken } },
            { path: '/claim/take', body: { code: secrets.adminKey } },
            { path: '/claim/take', body: { code: `${code}x` } },
          ])
            note('holder', request, await call(port, { ...request, headers: fromElsewhere() }))
          for (const [method, path, body] of [
            ['GET', `/admin/users/${id}/claims`],
            ['DELETE', `/admin/users/${id}/claims/${code}`],
            ['GET', `/admin/audit?object=${id}`],
            ['POST', `/admin/users/${id}/claim`, { code }],
            ['POST', `/admin/users/${id}/claim`, { validMinutes: code }],
            ['GET', `/admin/users/${id}`],
          ] as const)
            note('admin', ...(await administer(method, path, body)))
        }
        const again = await call(port, { path: '/claim/take', body: { code: known.usedCode } })
        note('holder', { path: '/claim/take' }, again)
      }

      /** What a key sees that sees access tokens masked. */
      const masked: string[] = []
      async function seeMasked(port: number): Promise<void> {
        for (const [method, path, body] of [
          ['GET', '/admin/users'],
          ['GET', '/admin/users?limit=500'],
          ...userIds.map((id) => ['GET', `/admin/users/${id}`] as const),
          ['PUT', `/admin/users/${secrets.plainToken}`, {}],
          ['PUT', `/admin/users/${secrets.plainToken}`, { token: secrets.chosenToken }],
          ['PUT', '/admin/users', { users: [{ token: secrets.plainToken }, { token: secrets.chosenToken }] }],
          ['PUT', '/admin/users', { users: [{ token: secrets.plainToken, type: secrets.chosenToken }] }],
          ['GET', `/admin/users/${secrets.plainToken}/quota`],
          ['GET', '/admin/usage?groupBy=user'],
          ['GET', '/admin/requests'],
        ] as const) {
          const headers = { authorization: `Bearer ${known.turnedKey}`, ...fromElsewhere() }
          const answer = await call(port, { method, path, headers, ...(body !== undefined && { body }) })
          masked.push(`${JSON.stringify(answer.headers)}\n${answer.text}`)
          assert.ok([200, 400].includes(answer.status), `${method} ${path} ${answer.status}`)
        }
      }

      /** As another gateway asks, with the key for it and with others. */
      async function letVerify(port: number): Promise<void> {
        const keys = [...keyNames.map((name) => known[name] ?? assert.fail()), secrets.adminKey]
        for (const key of [...keys, secrets.plainToken, secrets.wrongCredential]) {
          const asking = { authorization: `Bearer ${key}` }
          const proxying = { 'x-tollgate-key': key, authorization: `Bearer ${secrets.plainToken}` }
          const form = { ...asking, 'content-type': 'application/x-www-form-urlencoded' }
          for (const request of [
            { path: '/auth/check', headers: asking, body: { token: secrets.plainToken } },
            { path: '/auth/check', headers: asking, body: { token: key, model: key } },
            { path: '/auth/check', headers: asking, body: { token: key, units: key } },
            { path: '/auth/introspect', headers: form, body: `token=${secrets.plainToken}` },
            { path: '/auth/introspect', headers: form, body: `token=${key}` },
            { method: 'GET', path: '/auth/verify', headers: proxying },
            { method: 'GET', path: `/auth/verify?key=${key}`, headers: { authorization: `Bearer ${key}` } },
          ])
            note(
              'verifier',
              request,
              await call(port, { ...request, headers: { ...request.headers, ...fromElsewhere() } }),
            )
        }
      }

      const chat = (more: object = {}) => ({
        model: 'gpt-4o',
        max_tokens: 30,
        messages: [{ role: 'user', content: secrets.prompt }],
        ...more,
      })
      const operations: readonly (readonly [string, object])[] = [
        ['/v1/chat/completions', chat()],
        ['/v1/completions', { model: 'gpt-4o', prompt: secrets.prompt }],
        ['/v1/responses', { model: 'gpt-4o', input: secrets.prompt }],
        ['/v1/embeddings', { model: 'text-embedding-3-small', input: secrets.prompt }],
        ['/v1/messages', chat({ model: 'claude-x' })],
        ['/v1/messages/count_tokens', chat({ model: 'claude-x' })],
      ]
      const gateways = (port: number) => async (request: Call) =>
        note('gateway', request, await call(port, request))

      /** A credential as either protocol's clients send it, and as bytes in UTF-8. */
      function credentials(secret: string): Record<string, string>[] {
        const bytes = Buffer.from(secret).toString('latin1')
        return [
          { authorization: `Bearer ${bytes}` },
          { 'x-api-key': bytes },
          {
            authorization: `Bearer ${bytes}`,
            'x-api-key': bytes,
            cookie: `session=${bytes}`,
            'proxy-authorization': bytes,
          },
        ]
      }

      async function relay(port: number): Promise<void> {
        const ask = gateways(port)
        const good = [secrets.chosenToken, secrets.plainToken, known.generatedToken ?? assert.fail()]
        for (const [path, body] of operations) {
          for (const token of good)
            for (const headers of credentials(token))
              assert.equal((await ask({ path, body, headers })).status, 200, path)
          const [headers = {}] = credentials(secrets.plainToken)
          for (const simulate of [
            'status=400',
            'status=401',
            'status=429; retry-after=1',
            'status=500',
            'bad-json',
            'cut-after=1',
            'gzip',
            'no-usage',
          ])
            for (const stream of [false, true])
              await ask({ path, body: { ...body, stream }, headers: { ...headers, 'x-simulate': simulate } })
          for (const token of [
            secrets.disabledToken,
            secrets.limitedToken,
            secrets.wrongCredential,
            secrets.adminKey,
            secrets.openaiKey,
            ...keyNames.map((name) => known[name] ?? assert.fail()),
          ])
            for (const wrong of credentials(token))
              await ask({ path, body, headers: { ...wrong, ...fromElsewhere() } })
          await ask({ path: `${path}?api_key=none&%zz`, body, headers })
          for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) await ask({ method, path, headers })
          for (const bad of [
            '',
            '{',
            `{"model":"${secrets.prompt}`,
            `{"model":5,"x":"${secrets.prompt}"}`,
            { model: secrets.prompt },
            'x'.repeat(120_000),
          ])
            await ask({ path, body: bad, headers })
          await ask({ path, body, headers: { ...headers, 'content-encoding': secrets.prompt } })
        }
        const [headers = {}] = credentials(secrets.plainToken)
        for (const model of ['gpt-slow@delay=900', 'gpt-echo', 'claude-x'])
          await ask({ path: '/v1/chat/completions', body: chat({ model }), headers })
        for (const token of [...good, secrets.disabledToken, secrets.wrongCredential]) {
          for (const path of [
            '/v1/usage',
            '/v1/models',
            '/v1/models/gpt-4o',
            `/v1/models/${encodeURIComponent(token)}`,
            `/v1/usage?key=${encodeURIComponent(token)}`,
            `/v1/${encodeURIComponent(token)}`,
            `/v1/models/%zz${encodeURIComponent(token)}`,
          ])
            for (const method of ['GET', 'HEAD', 'POST']) {
              const request = { method, path, headers: { ...credentials(token)[0], ...fromElsewhere() } }
              // What the holder's own path echoes to the holder is the holder's.
              if (path.includes('sentinel') || path.includes('sk-tg-'))
                noteOnlyOperator(await call(port, request))
              else await ask(request)
            }
        }
        for (let round = 0; round < 13; round += 1)
          await ask({
            path: '/v1/messages',
            body: chat(),
            headers: {
              'x-api-key': `${secrets.wrongCredential}-${round}`,
              'x-forwarded-for': '203.0.113.251',
            },
          })
        for (const [path, body] of operations) {
          for (const passed of [0, 3, 8, 20]) {
            const raw = openRaw(port, {
              path,
              accessToken: secrets.plainToken,
              body: { ...body, stream: true },
            })
            setTimeout(raw.hangUp, passed)
            await raw.closed
          }
        }
        await ask({ method: 'GET', path: '/v1/usage', headers })
      }

      function noteOnlyOperator(answer: Answer): void {
        answers.admin.push(`${JSON.stringify(answer.headers)}\n${answer.text}`)
      }

      async function breakHttp(port: number): Promise<void> {
        const token = secrets.plainToken
        for (const text of [
          `${token}\r\n\r\n`,
          `GET /v1/models/${token} HTTP/9.9\r\n\r\n`,
          `GET /v1/usage HTTP/1.1\r\nhost: x\r\nauthorization Bearer ${token}\r\n\r\n`,
          `GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-pad: ${'p'.repeat(20_000)}\r\nauthorization: Bearer ${token}\r\n\r\n`,
          `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${token}\r\ntransfer-encoding: chunked\r\n\r\n${token}\r\n`,
          `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${token}\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n${token}`,
          `CONNECT ${token}:443 HTTP/1.1\r\nhost: ${token}\r\n\r\n`,
          `GET /v1/usage HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: ${token}\r\nx-api-key: ${token}\r\n\r\n`,
          `GET http://${token}@host/admin/users/${token} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${secrets.adminKey}\r\nconnection: close\r\n\r\n`,
        ]) {
          answers[text.includes(secrets.adminKey) ? 'admin' : 'gateway'].push(await exchange(port, text))
        }
        note(
          'gateway',
          { path: '/v1/usage' },
          await call(port, { method: 'GET', path: '/v1/usage', headers: credentials(token)[0] ?? {} }),
        )
      }

      async function fail(port: number): Promise<void> {
        const ask = gateways(port)
        for (const [path, body] of operations)
          for (const headers of credentials(secrets.plainToken))
            assert.equal((await ask({ path, body, headers })).status, 502, path)
        await ask({ method: 'GET', path: '/v1/models', headers: credentials(secrets.plainToken)[0] ?? {} })
      }

      it('nothing of them was printed', () => {
        for (const id of userIds) assert.ok(output.includes(id), `the user ${id} was`)
        for (const id of requestIds) assert.ok(output.includes(id), `the request ${id} was`)
        assert.match(output, /upstream trouble/)
        // On a shared database it is said only when whoever died has been silent for long enough.
        if (database.env.DATABASE_URL === undefined) assert.match(output, /left open/)
        assert.match(output, /\/admin\/users\/\{token\}/)
        assert.deepEqual(found(output, Object.keys(known), known), [])
        assert.ok(!output.includes('sentinel'), 'nor a part of them')
        assert.doesNotMatch(output, /tg[acvs]-\w/, 'nor of a key, a session or a link')
      })

      it('nothing of them lies on the disk in clear', () => {
        for (const id of userIds) assert.ok(disk.includes(id), 'users do')
        for (const words of ['noted', '/v1/chat/completions', 'gpt-4o'])
          assert.ok(disk.includes(words), words)
        assert.deepEqual(found(disk, Object.keys(known), known), [])
      })

      it("the operator's own are in no answer, and a holder's are in none of the gateway", () => {
        const all = Object.values(answers).flat().join('\n')
        assert.deepEqual(found(all, operatorsOwn, known), [])
        assert.deepEqual(
          made.map((text) => found(text, operatorsOwn, known)),
          [...keyNames, ...sessionNames, ...codeNames].map((name) => [name]),
          'but a key, a session and a link in the answer that made it',
        )
        assert.deepEqual(
          found(begunText, operatorsOwn, known),
          appNames,
          'and an app in the one that began it',
        )
        assert.ok(masked.length > 12)
        assert.deepEqual(
          found(masked.join('\n'), tokenNames, known),
          [],
          'a key without tokens:reveal sees none',
        )
        assert.deepEqual(
          found(answers.admin.join('\n'), tokenNames, known),
          tokenNames,
          'the admin API gives them back',
        )
        assert.deepEqual(found(answers.gateway.join('\n'), tokenNames, known), [])
        assert.deepEqual(found(answers.verifier.join('\n'), tokenNames, known), [])
        assert.deepEqual(found(answers.holder.join('\n'), tokenNames, known), [])
        assert.deepEqual(
          claimed.map((text) => found(text, [...tokenNames, ...operatorsOwn], known)),
          [['claimedToken']],
          'a confirmed link shows the access token, and no other secret',
        )
      })

      it("a holder's reached no upstream, the operator's only the one it is for", () => {
        const textOf = (requests: readonly { readonly headers: object; readonly body: string }[]) =>
          requests.map(({ headers, body }) => JSON.stringify(headers) + body).join('\n')
        const places = [
          { text: textOf(openai.served()), own: ['openaiKey'] },
          { text: textOf(anthropic.served()), own: ['anthropicKey'] },
          { text: textOf(echoing.requests), own: ['openaiKey', 'echoedKey'] },
        ]
        for (const { text, own } of places) {
          assert.deepEqual(found(text, [...tokenNames, ...operatorsOwn, 'wrongCredential'], known), own)
          assert.ok(text.includes(secrets.prompt), 'what was asked did')
        }
        assert.ok(openai.served().length > 100 && anthropic.served().length > 50)
      })

      it('everything was done', () => {
        const seen = (key: string, expected: readonly number[]) =>
          assert.deepEqual(
            expected.filter((status) => !statuses.get(key)?.has(status)),
            [],
            key,
          )
        seen('POST /v1/chat/completions', [200, 400, 401, 403, 404, 413, 415, 429, 500, 502, 504])
        seen('POST /v1/messages', [200, 400, 401, 403, 429, 500, 502])
        seen('GET /v1/usage', [200, 403, 401])
        seen('POST /admin/keys', [400, 403])
        seen('GET /admin/sessions', [200, 400, 401])
        seen('POST /admin/sessions', [400, 403])
        seen('GET /admin/keys', [200, 401, 403])
        seen('DELETE /admin/keys/adk_environment', [409])
        seen('POST /claim/look', [200, 400, 404])
        seen('POST /claim/take', [404])
        seen('GET /claim', [200])
        seen('POST /auth/check', [200, 400, 401, 403])
        seen('POST /auth/introspect', [200, 401, 403])
        seen('GET /auth/verify', [200, 403])
        seen('POST /admin/tokens/lookup', [200, 400, 404])
        seen('GET /admin/users', [200, 400, 401])
        seen('PUT /admin/users', [200, 400, 413])
        seen('POST /admin/users', [200, 400, 409, 413])
        seen(`PUT /admin/users/${secrets.plainToken}`, [200, 400, 412, 413, 415])
        seen(`GET /admin/users/${secrets.plainToken}`, [200, 401, 429])
        seen(`DELETE /admin/users/${secrets.disabledToken}`, [200])
      })
    })
  }
})

/** Whatever the server says to this, until it closes or says nothing more. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setTimeout(150, () => socket.destroy())
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(received))
    socket.write(text)
  })
}

/** All that the program has put on a disk, its own or that of the server where its database is. */
async function readStored(folder: string, database: TestDatabase, files: readonly string[]): Promise<string> {
  const { DATA_DIR = join(folder, 'data'), DATABASE_URL } = database.env
  const own = existsSync(DATA_DIR) ? read(DATA_DIR, DATABASE_URL === undefined ? files : []) : ''
  return DATABASE_URL === undefined ? own : own + (await readServersFiles(database))
}

/** The files of every table and index byte by byte, and what the server has logged. */
async function readServersFiles(database: TestDatabase): Promise<string> {
  // What is only in the server's memory so far is to be in its files.
  await database.rows('checkpoint')
  const firstOwnOid = 16_384
  const files = await database.rows(`
    select relname as name, pg_read_binary_file(pg_relation_filepath(oid)) as bytes
    from pg_class where oid >= ${firstOwnOid} and relkind in ('r', 'i', 't')`)
  for (const name of ['users', 'entries', 'admin_keys', 'sessions', 'claims'])
    assert.ok(
      files.some((file) => file.name === name),
      `${name} is there`,
    )
  const logs = await database.rows(
    "select pg_read_binary_file(current_setting('data_directory') || '/../log') as bytes",
  )
  return [...files, ...logs]
    .map(({ bytes }) => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString('latin1') : assert.fail()))
    .join('\n')
}

/** All that lies in a folder, byte by byte; these files must be there. */
function read(folder: string, expected: readonly string[]): string {
  const names = readdirSync(folder)
  for (const name of expected) assert.ok(names.includes(name), `${name} is among ${names.join()}`)
  return names.map((name) => readFileSync(join(folder, name), 'latin1')).join('\n')
}
