import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { describe, it } from 'node:test'
import { readRows } from '#admin/transfer/records.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type AdminServer, adminSecret, startAt, withAdminServer } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { databases } from './support/stores.ts'

const everything: UserEdit = {
  nickname: '=cmd|" /C calc"!A0, 😀',
  addresses: ['192.0.2.1', '2001:db8::1', '=hash,of"address'],
  promptCount: 7,
  quotaUsed: { turbo: 12, claude: 0, gpt4: 999_999_999_999 },
  quotaLimits: { turbo: 1e12, claude: -1, gpt4: 0 },
  createdAt: startAt - 5000,
  lastUsedAt: startAt - 1,
  disabledAt: startAt + 9e9,
  disabledReason: '-1 is\r\nno "reason"',
  expiresAt: startAt + 1e9,
  limits: {
    requestsPerMinute: 5,
    concurrentRequests: 0,
    maxIps: -1,
    ipWindowDays: 3,
    ipLimitAction: 'disable',
    allowedNetworks: ['10.0.0.0/8', '2001:db8::/32'],
    allowedModels: ['gpt-*', 'a,b'],
    period: 'monthly',
  },
  adminNote: "'=already quoted\n\tand more",
  tags: ['=tag', 'Größe', 'c 3'],
  meta: { deep: [{ a: null }], text: 'x,"y"\n', __proto__x: 1 },
}

async function fill(server: AdminServer): Promise<void> {
  const edits: readonly UserEdit[] = [
    everything,
    {},
    { nickname: '', adminNote: '' },
    { type: 'special', nickname: "'=x", disabledReason: '\n=x', adminNote: '\u{ff1d}x', tags: ['\u{ff20}x'] },
    { ...everything, type: 'temporary' },
  ]
  for (const [index, edit] of edits.entries())
    await server.store.users.writeUsers(
      [{ ref: { accessToken: index === 1 ? '\u{1f39f}️=+"\'' : `=token-${index}` }, edit }],
      by(startAt + index),
    )
  for (let index = 0; index < 450; index++)
    await server.store.users.insertUser({ nickname: `user ${index}` }, by(startAt + 100 + index))
}

async function* piecesOf(bytes: Uint8Array, bytesAtOnce: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += bytesAtOnce) yield bytes.subarray(at, at + bytesAtOnce)
}

const ndjson = { 'content-type': 'application/x-ndjson' }
const csv = { 'content-type': 'text/csv' }

async function exported(server: AdminServer, query: string): Promise<string> {
  const { status, text } = await server.send({ method: 'GET', path: `/admin/users/export?${query}` })
  assert.equal(status, 200, text)
  return text
}

/** The files are long: a difference is told by its first line. */
function assertSame(one: string, other: string): void {
  const [left, right] = [one.split('\n'), other.split('\n')]
  const at = left.findIndex((line, index) => line !== right[index])
  assert.deepEqual([left[at], left.length], [right[at], right.length])
  assert.ok(one === other)
}

async function importedTo(server: AdminServer, rawBody: string, query = '', headers: object = ndjson) {
  const { status, text } = await server.send({
    method: 'POST',
    path: `/admin/users/import${query}`,
    rawBody,
    headers: { ...headers },
  })
  return { status, body: JSON.parse(text) }
}

for (const kind of databases) {
  const withServer = (use: (server: AdminServer) => Promise<void>, options = {}) =>
    withAdminServer(kind, use, options)

  describe(`import and export on ${kind.name}`, () => {
    it('bring every user into an empty store, and the same bytes out of it', () =>
      withServer(async (source) => {
        await fill(source)
        for (const [query, headers] of [
          ['format=ndjson', ndjson],
          ['format=csv', csv],
        ] as const) {
          const file = await exported(source, query)
          await withServer(async (target) => {
            const { status, body } = await importedTo(target, file, '', headers)
            const nothing = { changed: 0, unchanged: 0, failed: 0, errors: [], dryRun: false }
            assert.deepEqual([status, body], [200, { records: 455, created: 455, ...nothing }])
            assertSame(await exported(target, query), file)
            assertSame(await exported(target, 'format=ndjson'), await exported(source, 'format=ndjson'))
            const again = await importedTo(target, file, '', headers)
            assert.deepEqual([again.body.created, again.body.changed, again.body.unchanged], [0, 0, 455])
          })
        }
      }))

    it('export those of a filter, and no formulas to a spreadsheet', () =>
      withServer(async (server) => {
        await fill(server)
        const file = await exported(server, 'format=csv&tag=%3Dtag')
        assert.equal(
          file.split('\r\n')[0]?.startsWith('token,id,nickname,type,tags,promptCount,tokenLimits.'),
          true,
        )
        assert.match(file, /\r\n'=token-0,usr_/)
        assert.match(file, /,"'=cmd\|"" /)
        assert.match(file, /,"'-1 is\r\nno ""reason"""/)
        assert.equal((await exported(server, 'format=ndjson&type=special')).split('\n').length, 2)
        const { status, text } = await server.send({ method: 'GET', path: '/admin/users/export?format=xml' })
        assert.deepEqual([status, JSON.parse(text).issues[0].path], [400, 'format'])
      }))

    it('guard every beginning of a formula, and give it back as it was', () =>
      withServer(async (server) => {
        const beginnings = [
          '=',
          '+',
          '-',
          '@',
          '\t',
          '\r',
          '\n',
          '\u{ff1d}',
          '\u{ff0b}',
          '\u{ff0d}',
          '\u{ff20}',
        ]
        const notes = [...beginnings, "'", "''"].map((beginning) => `${beginning}1`)
        const lines = notes.map((adminNote, index) => JSON.stringify({ token: `t${index}`, adminNote }))
        assert.equal((await importedTo(server, lines.join('\n'))).body.created, notes.length)
        const file = await exported(server, 'format=csv')
        for (const note of notes) assert.match(file, new RegExp(`,"?'${note.replace('+', '\\+')}`), note)
        assert.equal((await importedTo(server, file, '', csv)).body.unchanged, notes.length)
      }))

    it('leave the path without a format to the user of that name', () =>
      withServer(async (server) => {
        const path = '/admin/users/export'
        assert.equal((await server.send({ method: 'GET', path })).status, 404)
        assert.equal((await server.send({ method: 'PUT', path, body: { nickname: 'odd' } })).status, 200)
        const { text } = await server.send({ method: 'GET', path })
        assert.equal(JSON.parse(text).nickname, 'odd')
      }))

    it('say in a dry run what would change, and change nothing', () =>
      withServer(async (server) => {
        await importedTo(
          server,
          '{"token":"a","nickname":"A","tokenLimits":{"claude":5}}\n{"token":"same"}\n',
        )
        const before = await exported(server, 'format=ndjson')
        const lines = [
          {
            token: 'a',
            nickname: 'B',
            tokenLimits: { claude: null, turbo: 7 },
            tokenCounts: { gpt4: 3 },
            tags: ['x'],
          },
          { token: 'same', adminNote: null },
          { token: 'new', nickname: 'N' },
          { token: 'tmp', type: 'temporary' },
        ]
        const file = lines.map((line) => JSON.stringify(line)).join('\n')
        const { status, body } = await importedTo(server, file, '?dryRun=true&onError=skip')
        assert.equal(status, 200)
        const counts = (gpt4: number) => ({ 'gpt4-32k': 0, turbo: 0, gpt4, claude: 0 })
        const figures = { records: 4, created: 1, changed: 1, unchanged: 1, failed: 1, dryRun: true }
        assert.deepEqual(body, {
          ...figures,
          errors: [{ line: 4, path: 'expiresAt', message: 'a temporary user needs expiresAt' }],
          differences: [
            {
              line: 1,
              kind: 'changed',
              nickname: 'B',
              changes: [
                { field: 'tokenLimits', before: { claude: 5 }, after: { turbo: 7 } },
                { field: 'tokenCounts', before: counts(0), after: counts(3) },
                { field: 'nickname', before: 'A', after: 'B' },
                { field: 'tags', after: ['x'] },
              ],
            },
            { line: 3, kind: 'created', nickname: 'N' },
          ],
        })
        assert.equal(await exported(server, 'format=ndjson'), before)
        const real = await importedTo(server, file, '?onError=skip')
        assert.deepEqual(
          [real.body.created, real.body.changed, real.body.unchanged, real.body.failed],
          [1, 1, 1, 1],
        )
      }))

    it('stop at the first wrong line without its batch, and say what is written', () =>
      withServer(async (server) => {
        const lines = Array.from({ length: 450 }, (_, index) => JSON.stringify({ token: `t${index}` }))
        lines[440] = '{"token":"t440","maxIps":-2,"type":"x"}'
        const { status, body } = await importedTo(server, lines.join('\n'))
        assert.equal(status, 400)
        assert.match(
          body.error,
          /^line 441: type: .* All up to line 400 is written \(400 created, 0 changed, 0 unchanged\)/,
        )
        assert.deepEqual(
          body.issues.map(({ path }: { path: string }) => path),
          ['line 441: type', 'line 441: maxIps'],
        )
        assert.equal(await server.store.users.countUsers({}, startAt), 400)
        lines[440] = '{"token":"t440"}'
        const again = await importedTo(server, lines.join('\n'))
        assert.deepEqual([again.body.created, again.body.unchanged], [50, 400])
      }))

    it('name every line that cannot be read, and take the others', () =>
      withServer(async (server) => {
        await server.store.users.writeUsers([{ ref: { accessToken: 'here' }, edit: {} }], by(startAt))
        const here = (await server.store.users.findUser({ accessToken: 'here' }, startAt))?.id
        const id = 'usr_01kdvdna003cn7w85sfpyp0x'
        const lines = [
          '{"token":"one","unknown":1}',
          '',
          'no json',
          '[1]',
          '{}',
          `{"token":"${'x'.repeat(600)}"}`,
          `{"token":"two","adminNote":"${'x'.repeat(300_000)}"}`,
          `{"token":"three","id":"${here}"}`,
          `{"token":"four","id":"${id}"}`,
          `{"token":"five","id":"${id}"}`,
          '{"token":"six","id":"usr_1"}',
          '{"token":"one","nickname":"twice"}',
          '{"token":"high","promptCount":9007199254740991}',
        ]
        const { status, body } = await importedTo(server, `${lines.join('\r\n')}\r\n`, '?onError=skip')
        assert.equal(status, 200, JSON.stringify(body))
        assert.deepEqual(
          body.errors.map(({ line, path }: { line: number; path: string }) => [line, path]).toSorted(),
          [
            [10, 'id'],
            [11, 'id'],
            [13, 'promptCount'],
            [3, ''],
            [4, ''],
            [5, 'token'],
            [6, 'token'],
            [7, ''],
            [8, 'id'],
          ],
        )
        assert.deepEqual([body.created, body.changed, body.failed, body.ignored], [2, 1, 9, ['unknown']])
        const one = await server.store.users.findUser({ accessToken: 'one' }, startAt)
        assert.equal(one?.nickname, 'twice')
        assert.equal((await server.store.users.findUser({ accessToken: 'four' }, startAt))?.id, id)
      }))

    it('keep a field for an empty cell, or clear it', () =>
      withServer(async (server) => {
        const file = 'token,nickname,tokenLimits.claude,tags\r\na,Ann,5,"x,y"\r\n'
        const first = await importedTo(server, file, '', csv)
        assert.equal(first.status, 200, JSON.stringify(first.body))
        const empty = 'token,nickname,tokenLimits.claude,tags,other\r\na,,,,1\r\n'
        assert.deepEqual((await importedTo(server, empty, '', csv)).body.unchanged, 1)
        const cleared = await importedTo(server, empty, '?emptyCells=clear', csv)
        assert.deepEqual([cleared.body.changed, cleared.body.ignored], [1, ['other']])
        const { text } = await server.send({ method: 'GET', path: '/admin/users/a' })
        const { nickname, tags, tokenLimits } = JSON.parse(text)
        assert.deepEqual(
          { nickname, tags, tokenLimits },
          { nickname: undefined, tags: undefined, tokenLimits: {} },
        )
        const twice = await importedTo(server, 'token,token\r\na,b\r\n', '', csv)
        assert.equal(twice.status, 400)
        const broken = await importedTo(server, 'token,nickname\r\na,"b" c\r\n', '?onError=skip', csv)
        assert.equal(broken.body.errors[0].message, 'is not valid CSV (CSV_INVALID_CLOSING_QUOTE)')
      }))

    it('clear nothing by a row that ends early, and refuse one with more cells than columns', () =>
      withServer(async (server) => {
        const head = 'token,nickname,tokenLimits.claude,,\r\n'
        await importedTo(server, `${head}a,Ann,5,,\r\n`, '', csv)
        const short = await importedTo(server, `${head}a,Bea\r\n`, '?emptyCells=clear', csv)
        assert.deepEqual([short.status, short.body.changed], [200, 1], JSON.stringify(short.body))
        const { text } = await server.send({ method: 'GET', path: '/admin/users/a' })
        const { nickname, tokenLimits } = JSON.parse(text)
        assert.deepEqual([nickname, tokenLimits], ['Bea', { claude: 5 }])
        const file = `token,nickname,tokenLimits.claude\r\nb,Doe, John,7\r\nc,Eve,8,,\r\n`
        const { status, body } = await importedTo(server, file, '?onError=skip', csv)
        assert.deepEqual(
          [status, body.created, body.errors],
          [...[200, 1], [{ line: 2, path: '', message: 'has 4 cells for 3 columns' }]],
        )
      }))

    it('refuse a table of so many columns that its rows would hold up everything else', () =>
      withServer(async (server) => {
        const families = (count: number) =>
          Array.from({ length: count }, (_, index) => `tokenLimits.x${index}`)
        for (const [count, message] of [
          [5_000, /^has more than \d{4} columns$/],
          [900, /is not a known family/],
        ] as const) {
          const row = `,${Array.from({ length: count }, () => '1').join(',')}`
          const file = `token,${families(count).join(',')}\r\n${`x${row}\r\n`.repeat(5)}`
          const { status, body } = await importedTo(server, file, '', csv)
          assert.equal(status, 400)
          assert.match(body.issues[0].message, message)
        }
      }))

    it('read a file with a byte order mark, and refuse text that is not UTF-8', () =>
      withServer(async (server) => {
        const line = '{"token":"marked"}\n'
        const marked = await importedTo(server, `\ufeff${line}`)
        assert.deepEqual([marked.status, marked.body.created], [200, 1], JSON.stringify(marked.body))
        const rows = (mark: string) =>
          Buffer.concat([Buffer.from(`${mark}token,nickname\r\nok,Ann\r\nz`), Buffer.of(0xff, 13, 10)])
        for (const mark of ['', '\ufeff'])
          for (const bytesAtOnce of [1, 100]) {
            const records = []
            for await (const row of readRows(piecesOf(rows(mark), bytesAtOnce))) records.push(row)
            assert.deepEqual(
              records.map((row) => ('fault' in row ? row.fault : row.cells)),
              [['token', 'nickname'], ['ok', 'Ann'], 'is not valid UTF-8'],
            )
          }
        const wide = Buffer.from('\ufefftoken\r\nzü\r\n', 'utf16le')
        const cells = []
        for await (const row of readRows(piecesOf(wide, 100))) cells.push('cells' in row && row.cells)
        assert.deepEqual(cells, [['token'], ['zü']])
      }))

    it('say where reading ended, and refuse a document without a list', () =>
      withServer(async (server) => {
        const open = 'token,nickname\r\na,"x\r\nb,y\r\n'
        const { status, body } = await importedTo(server, open, '?onError=skip', csv)
        assert.deepEqual(
          [status, body.failed, body.unreadFrom, body.created],
          [200, 1, body.errors[0].line, 0],
        )
        const some = await importedTo(server, 'token\r\na\r\n', '', csv)
        assert.equal('unreadFrom' in some.body, false)
        const json = { 'content-type': 'application/json' }
        for (const text of ['{"token":"a"}\n{"token":"b"}\n', 'hello', ''])
          assert.equal((await importedTo(server, text, '', json)).status, 400, text)
        assert.equal((await importedTo(server, '{"users":[]}', '', json)).status, 200)
      }))

    it('refuse a record whose token and id are of two users', () =>
      withServer(async (server) => {
        await importedTo(server, '{"token":"one"}\n{"token":"two"}\n')
        const { text } = await server.send({ method: 'GET', path: '/admin/users/two' })
        const { id } = JSON.parse(text)
        for (const query of ['', '?dryRun=true']) {
          const { status, body } = await importedTo(server, JSON.stringify({ token: 'one', id }), query)
          assert.deepEqual([status, body.issues[0].path], [400, 'line 1: id'])
        }
      }))

    it('refuse all but one of those at once that give an id to new users', () =>
      withServer(async (server) => {
        const id = 'usr_01kdvdna003cn7w85sfpyp0x'
        const lines = Array.from({ length: 6 }, (_, index) => JSON.stringify({ token: `new-${index}`, id }))
        const answers = await Promise.all(lines.map((line) => importedTo(server, line)))
        assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400, 400, 400, 400])
        for (const { status, body } of answers)
          if (status === 400) assert.equal(body.issues[0].path, 'line 1: id')
        const other = await importedTo(server, `{"token":"a"}\n${lines.join('\n')}`, '?onError=skip')
        assert.deepEqual([other.body.created, other.body.failed], [1, 5], JSON.stringify(other.body))
      }))

    it('take the users of oai-reverse-proxy, of any version', () =>
      withServer(async (server) => {
        const users = [
          {
            token: 'b0c8f1f0-0000-4000-8000-000000000001',
            ip: ['10.1.1.1', 'ip-5d41402abc4b2a76b9719d911017c592'],
            nickname: 'early',
            type: 'normal',
            promptCount: 3,
            tokenCount: 55,
            createdAt: startAt - 9,
          },
          {
            token: 'later',
            ip: [],
            type: 'special',
            promptCount: 5,
            tokenCounts: { turbo: 1, gpt4: 2, 'gpt4-32k': 3, 'gpt4-turbo': 4, 'azure-gpt4': 5, claude: 6 },
            tokenLimits: { turbo: 0, gpt4: 100, 'gpt4-32k': 0, 'gpt4-turbo': 50, 'azure-gpt4': 0, claude: 0 },
            tokenRefresh: { gpt4: 100 },
            createdAt: startAt - 8,
            lastUsedAt: startAt - 7,
            maxIps: 0,
            adminNote: 'n',
          },
          {
            token: 'latest',
            ip: ['10.1.1.2'],
            type: 'temporary',
            promptCount: 1,
            tokenCounts: {
              'aws-claude': { input: 10, output: 5, legacy_total: 100 },
              'claude-opus': { input: 1, output: 1 },
            },
            tokenLimits: {
              'aws-claude': { input: 0, output: 0, legacy_total: 500 },
              gemini: { input: 0, output: 0 },
            },
            createdAt: startAt - 6,
            expiresAt: startAt + 5,
            disabledAt: startAt - 1,
            disabledReason: 'abuse',
            maxIps: 3,
            meta: { refreshIp: true },
          },
        ]
        const json = { 'content-type': 'application/json' }
        const text = JSON.stringify({ users, count: 3 }, undefined, 2)
        const { status, body } = await importedTo(server, text, '?from=oai-reverse-proxy', json)
        assert.deepEqual([status, body.created, body.failed], [200, 3, 0], JSON.stringify(body))
        const shown = async (name: string) =>
          JSON.parse((await server.send({ method: 'GET', path: `/admin/users/${name}` })).text)
        const early = await shown('b0c8f1f0-0000-4000-8000-000000000001')
        assert.deepEqual([early.promptCount, early.ip, early.tokenLimits], [3, users[0]?.ip, {}])
        const later = await shown('later')
        assert.deepEqual(later.tokenLimits, { turbo: -1, gpt4: 150, 'gpt4-32k': -1, claude: -1 })
        assert.deepEqual(
          [later.tokenCounts.gpt4, later.tokenCounts['gpt4-32k'], later.maxIps, later.lastUsedAt],
          [11, 3, -1, startAt - 7],
        )
        const latest = await shown('latest')
        assert.deepEqual(
          [
            latest.tokenCounts.claude,
            latest.tokenLimits.claude,
            latest.maxIps,
            latest.disabledReason,
            latest.meta,
          ],
          [117, 500, 3, 'abuse', { refreshIp: true }],
        )
        // A list, and one object a line.
        assert.equal(
          (await importedTo(server, JSON.stringify(users), '?from=oai-reverse-proxy', json)).body.unchanged,
          3,
        )
        const lines = users.map((user) => JSON.stringify(user)).join('\n')
        assert.equal((await importedTo(server, lines, '?from=oai-reverse-proxy')).body.unchanged, 3)
        for (const broken of [
          '{"users":[{"token":"x"}',
          '{"users":[{"token":"x"}}',
          '{"users":[{"token":"x"',
        ])
          assert.equal(
            (await importedTo(server, broken, '?from=oai-reverse-proxy', json)).status,
            400,
            broken,
          )
      }))

    it('take the tokens of one-api and new-api, whose budgets are refused until it is said what a dollar is', () =>
      withServer(async (server) => {
        const items = [
          {
            ...{ id: 7, user_id: 1, key: 'aBcD'.repeat(12), status: 1, name: 'ci', group: 'vip' },
            ...{ created_time: 1_700_000_000, accessed_time: 1_700_000_100, expired_time: -1 },
            ...{ remain_quota: 1_000_000, unlimited_quota: false, used_quota: 500_000 },
            ...{
              model_limits_enabled: true,
              model_limits: 'gpt-4o,claude-3-5-sonnet',
              allow_ips: '10.0.0.1\n10.1.0.0/16',
            },
          },
          {
            ...{
              id: 8,
              user_id: 1,
              key: 'sk-free',
              status: 2,
              name: '',
              model_limits_enabled: false,
              model_limits: 'x',
            },
            ...{ created_time: 1_700_000_000, accessed_time: 1_700_000_200, expired_time: 1_800_000_000 },
            ...{ remain_quota: 0, unlimited_quota: true, used_quota: 9, allow_ips: '' },
          },
        ]
        const json = { 'content-type': 'application/json' }
        const text = JSON.stringify({ success: true, data: { page: 1, total: 2, items } })
        const refusal = await importedTo(server, text, '?from=new-api', json)
        assert.equal(refusal.status, 400)
        assert.match(refusal.body.error, /^line 1: remain_quota: is a budget in money: say unitsPerDollar/)
        const query = '?from=new-api&unitsPerDollar=200000&budgetFamily=gpt4'
        const { status, body } = await importedTo(server, text, query, json)
        assert.deepEqual([status, body.created], [200, 2], JSON.stringify(body))
        const shown = async (name: string) =>
          JSON.parse((await server.send({ method: 'GET', path: `/admin/users/${name}` })).text)
        const { id: _, tokenCounts, ...limited } = await shown(`sk-${'aBcD'.repeat(12)}`)
        assert.deepEqual(limited, {
          ...{ token: `sk-${'aBcD'.repeat(12)}`, nickname: 'ci', ip: [], type: 'normal', promptCount: 0 },
          ...{ createdAt: 1_700_000_000_000, lastUsedAt: 1_700_000_100_000, tokenLimits: { gpt4: 600_000 } },
          allowedModels: ['gpt-4o', 'claude-3-5-sonnet'],
          allowedNetworks: ['10.0.0.1', '10.1.0.0/16'],
          tags: ['vip'],
          meta: { id: 7, userId: 1 },
        })
        assert.equal(tokenCounts.gpt4, 200_000)
        const free = await shown('sk-free')
        assert.deepEqual(
          [free.disabledAt, free.expiresAt, free.tokenLimits, free.allowedModels, free.nickname],
          [1_700_000_200_000, 1_800_000_000_000, {}, undefined, undefined],
        )
        const masked = await importedTo(server, '{"key":"aBcD****aBcD"}', '?from=one-api&budgets=ignore')
        assert.match(masked.body.error, /is masked/)
        const table = 'id,key,unlimited_quota,remain_quota,expired_time\n9,12345678,f,500000,-1\n'
        const asCsv = await importedTo(server, table, '?from=one-api&budgets=ignore', csv)
        assert.equal(asCsv.body.created, 1, JSON.stringify(asCsv.body))
        assert.deepEqual((await shown('sk-12345678')).tokenLimits, {})
      }))

    it('refuse what is no file of users', () =>
      withServer(async (server) => {
        const form = { 'content-type': 'application/x-www-form-urlencoded' }
        assert.equal((await importedTo(server, 'a', '', form)).status, 415)
        assert.equal(
          (await importedTo(server, 'a', '', { ...ndjson, 'content-encoding': 'gzip' })).status,
          415,
        )
        for (const [query, path] of [
          ['?from=litllm', 'from'],
          ['?unitsPerDollar=5', 'unitsPerDollar'],
          ['?unitsPerDollar=0&budgetFamily=gpt4', 'unitsPerDollar'],
          ['?unitsPerDollar=5&budgetFamily=nope', 'budgetFamily'],
          ['?dry=true', 'dry'],
        ] as const)
          assert.equal((await importedTo(server, '', query)).body.issues[0].path, path)
        assert.equal((await importedTo(server, '')).body.records, 0)
      }))

    it('say what is written where the store goes away, and go on from there', () => {
      let batches = 0
      return withServer(
        async (server) => {
          const file = Array.from({ length: 600 }, (_, index) => `{"token":"t${index}"}`).join('\n')
          const { status, body } = await importedTo(server, file)
          assert.equal(status, 503)
          assert.match(
            body.error,
            /All up to line 100 is written .* The batch after it may be written as well\.$/,
          )
          const again = await importedTo(server, file)
          assert.deepEqual([again.status, again.body.created, again.body.unchanged], [200, 500, 100])
        },
        {
          wrap: (store: AdminServer['store']) => ({
            ...store,
            users: {
              ...store.users,
              importUsers(...args: Parameters<typeof store.users.importUsers>) {
                batches += 1
                if (batches === 3) throw new StoreUnavailable(new Error('gone'), { mayHaveHappened: true })
                return store.users.importUsers(...args)
              },
            },
          }),
        },
      )
    })

    it('keep what came before a client hung up', () =>
      withServer(async (server) => {
        const request = httpRequest({
          ...{ host: '127.0.0.1', port: server.port, method: 'POST', path: '/admin/users/import' },
          headers: { ...ndjson, authorization: `Bearer ${adminSecret}` },
        })
        request.on('error', () => undefined)
        for (let index = 0; index < 420; index++) request.write(`{"token":"t${index}"}\n`)
        for (let tries = 0; (await server.store.users.countUsers({}, startAt)) < 400; tries++) {
          assert.ok(tries < 500, 'eight batches are written while the body comes in')
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        request.destroy()
        for (let tries = 0; !server.log().includes('an import broke off'); tries++) {
          assert.ok(tries < 500, 'the log says that it broke off')
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        assert.equal(await server.store.users.countUsers({}, startAt), 400)
        assert.doesNotMatch(server.log(), /t399/)
      }))
  })
}
