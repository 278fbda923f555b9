import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createSortableId } from '#lib/sortable-id.ts'
import type { Store } from '#storage/store.ts'
import { type AdminServer, startAt, withAdminServer } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { databases } from './support/stores.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const dayMs = 86_400_000

/** What the answer of LiteLLM 1.110 says of each key where nothing was set. */
const unset = {
  ...{ key_name: null, key_alias: null, spend: 0, total_spend: 0, max_budget: null, expires: null },
  ...{ models: [], aliases: {}, config: {}, user_id: 'default_user_id', team_id: null, agent_id: null },
  ...{ project_id: null, max_parallel_requests: null, metadata: {}, tpm_limit: null, rpm_limit: null },
  ...{ tpd_limit: null, budget_duration: null, budget_reset_at: null, allowed_cache_controls: [] },
  ...{ allowed_routes: [], key_type: null, permissions: {}, model_spend: {}, model_max_budget: {} },
  ...{ budget_fallbacks: {}, soft_budget_cooldown: false, blocked: null, litellm_budget_table: null },
  ...{ budget_id: null, org_id: null, created_at: null, created_by: null, updated_at: null },
  ...{ updated_by: null, settings_updated_at: null, last_active: null, object_permission_id: null },
  ...{ object_permission: null, access_group_ids: null, rotation_count: 0, auto_rotate: false },
  ...{ rotation_interval: null, last_rotation_at: null, key_rotation_at: null, router_settings: null },
  ...{ budget_limits: null, team_spend: null, team_alias: null, team_max_budget: null, team_models: [] },
  ...{ team_blocked: false, soft_budget: null, api_key: null, rpm_limit_per_model: null },
  ...{ tpm_limit_per_model: null, user_email: null, user_max_budget: null, is_session_token: false },
}

const annsKey = 'sk-Xk2VhQm0pT7cR4nB9wZsLg'
const bobsKey = 'sk-bob-chose-this-one'
const evesKey = 'sk-eve-of-a-budget'

const keys = [
  {
    ...unset,
    token: sha256(annsKey),
    key_name: 'sk-...ZsLg',
    key_alias: 'ann-laptop',
    spend: 1.25,
    max_budget: 10,
    budget_duration: '30d',
    budget_reset_at: '2026-02-01T00:00:00Z',
    expires: '2027-06-01T00:00:00Z',
    models: ['gpt-4o', 'claude-sonnet-5'],
    max_parallel_requests: 4,
    metadata: { tags: ['research', 'Lab 3'], owner: 'ann' },
    tpm_limit: 100_000,
    rpm_limit: 60,
    created_at: '2025-12-01T08:30:00.123000Z',
    last_active: '2025-12-20T10:00:00Z',
  },
  {
    ...unset,
    token: sha256(bobsKey),
    key_name: 'sk-...-one',
    user_id: 'bob',
    team_id: 'team-7',
    org_id: 'org-1',
    blocked: true,
    updated_at: '2025-12-02T03:04:05Z',
  },
  {
    ...unset,
    token: sha256(evesKey),
    key_alias: 'eve',
    spend: 0.5,
    budget_id: 'free',
    litellm_budget_table: {
      ...{ budget_id: 'free', max_budget: 2, soft_budget: 1.5, rpm_limit: 5, tpm_limit: null },
      ...{ budget_duration: '12d', model_max_budget: null, max_parallel_requests: null },
    },
  },
]

const list = JSON.stringify({ keys, total_count: 3, current_page: 1, total_pages: 1 }, undefined, 1)
const query = '?from=litellm&unitsPerDollar=1000&budgetFamily=gpt4'
const json = { 'content-type': 'application/json' }
const csv = { 'content-type': 'text/csv' }
const ndjson = { 'content-type': 'application/x-ndjson' }

async function imported(server: AdminServer, rawBody: string, path = query, headers: object = json) {
  const { status, text } = await server.send({
    method: 'POST',
    path: `/admin/users/import${path}`,
    rawBody,
    headers: { ...headers },
  })
  return { status, body: JSON.parse(text) }
}

async function ask({ metering }: Store, accessToken: string, at = startAt) {
  const units = { model: 'gpt-4o', family: 'gpt4', input: 1, output: 1, choices: 1 }
  const one = { accessToken, requestId: createSortableId('req_', at), address: '192.0.2.1' }
  const asks = [{ ...one, route: '/v1/chat/completions', isMetered: true, units, isDry: true }]
  const [outcome] = (await metering.runBatch({ now: at, settlements: [], asks })).asks
  assert.ok(outcome)
  const code = outcome.kind === 'refused' ? outcome.code : outcome.kind
  return { code, id: outcome.user?.id, until: outcome.user?.tokenUntil }
}

const shown = async (server: AdminServer, name: string) =>
  JSON.parse((await server.send({ method: 'GET', path: `/admin/users/${name}` })).text)

const exported = async (server: AdminServer, format: string): Promise<string> =>
  (await server.send({ method: 'GET', path: `/admin/users/export?format=${format}` })).text

for (const kind of databases) {
  const withServer = (use: (server: AdminServer) => Promise<void>) => withAdminServer(kind, use)

  describe(`the keys of LiteLLM on ${kind.name}`, () => {
    it('come in with their limits, and what has no place here is told', () =>
      withServer(async (server) => {
        const refused = await imported(server, list, '?from=litellm')
        assert.deepEqual([refused.status, refused.body.issues[0].path], [400, 'line 1: max_budget'])
        const dry = await imported(server, list, `${query}&dryRun=true`)
        assert.deepEqual([dry.body.created, await server.store.users.countUsers({}, startAt)], [3, 0])
        const { status, body } = await imported(server, list)
        assert.deepEqual([status, body.created, body.failed, body.ignored], [200, 3, 0, undefined])
        assert.equal(body.warned, 3)
        assert.deepEqual(
          body.warnings.map(({ line, path }: { line: number; path: string }) => [line, path]),
          [
            [1, 'tpm_limit'],
            [2, 'user_id'],
            [2, 'team_id'],
            [2, 'org_id'],
            [3, 'soft_budget'],
            [3, 'budget_duration'],
          ],
        )
        const ann = await shown(server, annsKey)
        assert.match(ann.token, /^sk-tg-/)
        const { token: _, id: __, ...rest } = ann
        assert.deepEqual(
          { ...rest, tokenCounts: rest.tokenCounts.gpt4 },
          {
            ...{ ip: [], type: 'normal', promptCount: 0, nickname: 'ann-laptop' },
            ...{ tokenLimits: { gpt4: 10_000 }, tokenCounts: 1_250, period: 'monthly' },
            createdAt: Date.parse('2025-12-01T08:30:00.123Z'),
            lastUsedAt: Date.parse('2025-12-20T10:00:00Z'),
            expiresAt: Date.parse('2027-06-01T00:00:00Z'),
            ...{ requestsPerMinute: 60, concurrentRequests: 4, allowedModels: ['gpt-4o', 'claude-sonnet-5'] },
            tags: ['research', 'Lab 3'],
            meta: {
              ...{ key_name: 'sk-...ZsLg', user_id: 'default_user_id' },
              metadata: { tags: ['research', 'Lab 3'], owner: 'ann' },
            },
          },
        )
        const bob = await shown(server, bobsKey)
        assert.deepEqual(
          [bob.nickname, bob.disabledAt, bob.disabledReason, bob.meta.team_id, bob.tokenLimits],
          ['sk-...-one', Date.parse('2025-12-02T03:04:05Z'), 'blocked before the import', 'team-7', {}],
        )
        const eve = await shown(server, evesKey)
        assert.deepEqual(
          [eve.tokenLimits, eve.tokenCounts.gpt4, eve.requestsPerMinute, eve.period],
          [{ gpt4: 2_000 }, 500, 5, undefined],
        )
        const again = await imported(server, list)
        assert.deepEqual([again.body.created, again.body.changed, again.body.unchanged], [0, 0, 3])
      }))

    it('go on working for their holders, and their SHA-256 is no key', () =>
      withServer(async (server) => {
        const { store } = server
        assert.equal((await ask(store, annsKey)).code, 'unknown_access_token')
        await imported(server, list)
        const ann = await shown(server, annsKey)
        for (const accessToken of [annsKey, ann.token])
          assert.deepEqual(await ask(store, accessToken), { code: 'admitted', id: ann.id, until: undefined })
        assert.equal((await ask(store, bobsKey)).code, 'user_disabled')
        for (const wrong of [sha256(annsKey), sha256(annsKey).toUpperCase(), `${annsKey}x`, 'ZsLg']) {
          assert.equal((await ask(store, wrong)).code, 'unknown_access_token')
          assert.equal(await store.users.knowsAccessToken(wrong), false)
          assert.equal(await store.users.findUser({ accessToken: wrong }, startAt), undefined)
        }
        assert.equal(await store.users.knowsAccessToken(annsKey), true)
        assert.deepEqual(await store.users.findTokenStates([annsKey, ann.token, 'x']), [
          ...[{ kind: 'present' }, { kind: 'present' }, { kind: 'unknown' }],
        ])
        // A program that knows the key alone changes its user, and makes no second one.
        const put = await server.send({
          ...{ method: 'PUT', path: '/admin/users' },
          body: { users: [{ token: annsKey, nickname: 'Ann' }] },
        })
        assert.equal(JSON.parse(put.text).upserted_users[0].id, ann.id, put.text)
        assert.equal(await store.users.countUsers({}, startAt), 3)
      }))

    it('end with a rotation, at once or after its grace', () =>
      withServer(async (server) => {
        const { store } = server
        await imported(server, list)
        const { id } = await shown(server, annsKey)
        const until = startAt + dayMs
        assert.equal((await ask(store, annsKey)).code, 'admitted')
        await store.users.rotateToken({ id }, until, by(startAt))
        assert.deepEqual(await ask(store, annsKey, until - 1), { code: 'admitted', id, until })
        assert.equal((await ask(store, annsKey, until)).code, 'unknown_access_token')
        assert.deepEqual(await store.users.findTokenStates([annsKey]), [{ kind: 'old', until }])
        // A second one does not give it more time, and sending the file again does not either.
        await store.users.rotateToken({ id }, until + dayMs, by(startAt))
        const again = await imported(server, list)
        assert.equal(again.body.unchanged, 3, JSON.stringify(again.body))
        assert.equal((await ask(store, annsKey, until)).code, 'unknown_access_token')
        assert.equal(await store.upkeep.purgeTokens(until, 10), 1)
        assert.deepEqual(await store.users.findTokenStates([annsKey]), [{ kind: 'unknown' }])
        const eve = await shown(server, evesKey)
        await store.users.rotateToken({ id: eve.id }, undefined, by(startAt))
        assert.equal((await ask(store, evesKey)).code, 'unknown_access_token')
      }))

    it('come in again once the grace of their rotation is over, whether upkeep has run or not', () =>
      withServer(async (server) => {
        const { store, clock } = server
        await imported(server, list)
        const { id } = await shown(server, annsKey)
        const until = startAt + dayMs
        await store.users.rotateToken({ id }, until, by(startAt))
        clock.now = until + 1
        const again = await imported(server, list)
        assert.equal(again.status, 200, JSON.stringify(again.body))
        assert.deepEqual([again.body.created, again.body.unchanged], [1, 2], JSON.stringify(again.body))
        const asked = await ask(store, annsKey, clock.now)
        assert.equal(asked.code, 'admitted')
        assert.notEqual(asked.id, id, 'a user of its own')
        assert.equal(await store.upkeep.purgeTokens(clock.now, 10), 1, 'the token of the rotated user')
        assert.equal((await ask(store, annsKey, clock.now)).code, 'admitted')
      }))

    it('move on with an export, by the same bytes, and keep working', () =>
      withServer(async (source) => {
        await imported(source, list)
        for (const [format, headers] of [
          ['ndjson', ndjson],
          ['csv', csv],
        ] as const) {
          const file = await exported(source, format)
          assert.equal(file.includes(sha256(annsKey)), true)
          await withServer(async (target) => {
            const first = await imported(target, file, '', headers)
            assert.deepEqual([first.status, first.body.created], [200, 3], JSON.stringify(first.body))
            assert.equal((await ask(target.store, annsKey)).code, 'admitted')
            assert.equal(await exported(target, format), file)
            assert.equal((await imported(target, file, '', headers)).body.unchanged, 3)
          })
        }
        const ann = await shown(source, annsKey)
        const stolen = JSON.stringify({ token: 'another', tokenSha256: sha256(annsKey) })
        const refused = await imported(source, stolen, '', ndjson)
        assert.deepEqual([refused.status, refused.body.issues[0].path], [400, 'line 1: tokenSha256'])
        const given = JSON.stringify({ token: ann.token, tokenSha256: sha256('sk-another') })
        const dry = await imported(source, given, '?dryRun=true', ndjson)
        assert.deepEqual(
          dry.body.differences[0].changes.map(({ field }: { field: string }) => field),
          ['tokenSha256'],
        )
        assert.equal((await imported(source, given, '', ndjson)).body.changed, 1)
        assert.equal((await ask(source.store, 'sk-another')).id, ann.id)
        assert.equal((await ask(source.store, annsKey)).code, 'unknown_access_token')
        for (const [at, line] of [
          ['token', '{"tokenSha256":5}'],
          ['tokenSha256', `{"token":"x","tokenSha256":"${sha256('x')}0"}`],
        ] as const)
          assert.equal((await imported(source, line, '', ndjson)).body.issues[0].path, `line 1: ${at}`)
      }))

    it('come from a dump of the table, as CSV or JSON', () =>
      withServer(async (server) => {
        const head =
          'token,key_name,key_alias,spend,expires,models,aliases,user_id,max_parallel_requests,metadata,blocked,rpm_limit,max_budget,budget_duration,created_at,last_active'
        const rows = [
          `${sha256(annsKey)},sk-...ZsLg,ann,1e-05,2027-06-01 00:00:00,"{gpt-4o,""a \\""b\\"", c""}",{},,4,"{""tags"": [""x""]}",f,60,2.5,1d,2025-12-01 08:30:00.123,`,
          `${sha256(bobsKey)},,bob,0,,{},{},,,{},t,,,,2025-12-01 08:30:00+02,`,
        ]
        const { status, body } = await imported(server, [head, ...rows, ''].join('\n'), query, csv)
        assert.deepEqual([status, body.created, body.warned], [200, 2, undefined], JSON.stringify(body))
        const ann = await shown(server, annsKey)
        assert.deepEqual(
          [ann.allowedModels, ann.expiresAt, ann.createdAt, ann.tokenLimits.gpt4, ann.period, ann.tags],
          [
            ...[['gpt-4o', 'a "b", c'], Date.parse('2027-06-01T00:00:00Z')],
            ...[Date.parse('2025-12-01T08:30:00.123Z'), 2_500, 'daily', ['x']],
          ],
        )
        assert.equal((await ask(server.store, bobsKey)).code, 'user_disabled')
        const wrong = [
          { ...unset, token: 'sk' },
          { ...unset },
          { ...unset, token: sha256('a'), expires: 'soon' },
          { ...unset, token: sha256('b'), rpm_limit: 'many' },
          { ...unset, token: sha256('c'), rpm_limit: -7 },
        ]
        const lines = JSON.stringify({ keys: wrong })
        const skipped = await imported(server, lines, `${query}&onError=skip`)
        assert.deepEqual(
          skipped.body.errors.map(({ line, path }: { line: number; path: string }) => [line, path]),
          [
            ...[
              [1, 'token'],
              [2, 'token'],
              [3, 'expires'],
              [4, 'rpm_limit'],
            ],
            [5, 'requestsPerMinute'],
          ],
        )
      }))

    it('come in as the guide says', () =>
      withServer(async (server) => {
        const guide = readFileSync(new URL('../docs/guides/import-and-export.md', import.meta.url), 'utf8')
        const [, file = '', key = ''] =
          /<<'END'\n(.*?)\nEND\n.*?\/v1\/usage -H 'Authorization: Bearer ([^']+)'/s.exec(guide) ?? []
        const path = '?from=litellm&unitsPerDollar=200000&budgetFamily=gpt4'
        const { body } = await imported(server, file, path)
        assert.deepEqual([body.created, body.warnings.length], [1, 1], JSON.stringify(body))
        assert.equal((await ask(server.store, key)).code, 'admitted')
      }))

    it('are gone with their user, and stand nowhere in clear', () =>
      withAdminServer(kind, async (server) => {
        const { store } = server
        await imported(server, list)
        const { id } = await shown(server, annsKey)
        const expiresAt = startAt - 1
        await store.users.writeUsers([{ ref: { id }, edit: { type: 'temporary', expiresAt } }], by(startAt))
        assert.equal(await store.upkeep.purgeUsers(startAt + dayMs, 10, by(startAt + dayMs)), 1)
        assert.equal((await ask(store, annsKey)).code, 'unknown_access_token')
        assert.equal((await imported(server, list)).body.created, 1)
        const { text } = await server.send({ method: 'GET', path: '/admin/audit?format=ndjson' })
        for (const secret of [annsKey, sha256(annsKey)]) {
          assert.equal(text.includes(secret), false)
          assert.equal(server.log().includes(secret), false)
        }
        assert.match(text, /"tokenSha256":"….{4}"/)
      }))
  })
}
