import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openStore } from '#storage/open.ts'
import {
  type AdminServer,
  adminSecret,
  type Received,
  startAt,
  verifierSecret,
  withAdminServer,
} from './support/admin-server.ts'
import { by } from './support/by.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { runProgram } from './support/process.ts'
import { databases } from './support/stores.ts'

/** Who changed what, as an administrator reads it: over HTTP, with real keys. */
interface Change {
  readonly seq: number
  readonly kind: string
  readonly object: string
  readonly actor: { readonly kind: string; readonly id?: string; readonly name?: string }
  readonly before?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly requestId?: string
  readonly address?: string
}

const sentinel = 'sentinel-access-token-4711'

const isJson = ({ headers }: Received) => String(headers['content-type']).startsWith('application/json')

async function ask(server: AdminServer, method: string, path: string, body?: unknown, headers = {}) {
  const answer = await server.send({ method, path, headers, ...(body !== undefined && { body }) })
  return { ...answer, body: isJson(answer) ? JSON.parse(answer.text) : undefined }
}

async function audit(server: AdminServer, query = ''): Promise<readonly Change[]> {
  const { status, body } = await ask(server, 'GET', `/admin/audit${query}`)
  assert.equal(status, 200)
  assert.equal(body.count, body.changes.length)
  return body.changes
}

for (const kind of databases)
  describe(`the audit trail on ${kind.name}`, () => {
    const withServer = (run: (server: AdminServer) => Promise<void>) => withAdminServer(kind, run)

    it('names the key, the request and the address of each change, and no secret', () =>
      withServer(async (server) => {
        const from = { 'x-forwarded-for': '192.0.2.9' }
        const put = await ask(server, 'PUT', `/admin/users/${sentinel}`, { nickname: 'Zoe' }, from)
        const { id } = put.body
        await ask(server, 'PUT', `/admin/users/${id}`, { maxIps: 3, tokenLimits: { claude: 5 } })
        await ask(server, 'DELETE', `/admin/users/${sentinel}?disabledReason=gone`)
        await ask(server, 'PUT', `/admin/users/${id}`, { nickname: 'Zoe' })
        const made = await ask(server, 'POST', '/admin/keys', { name: 'reader', scopes: ['audit:read'] })
        await ask(server, 'DELETE', `/admin/keys/${made.body.id}`)
        const all = await audit(server, `?from=${startAt}`)
        const [first] = (await ask(server, 'GET', '/admin/keys')).body.keys
        assert.deepEqual(all.map(({ kind: what, object }) => [what, object]).slice(0, 5), [
          ['admin_key.deleted', made.body.id],
          ['admin_key.created', made.body.id],
          ['user.disabled', id],
          ['user.updated', id],
          ['user.created', id],
        ])
        assert.deepEqual(all[4], {
          ...{ seq: 4, at: startAt, kind: 'user.created', object: id },
          actor: { kind: 'admin_key', id: first.id, name: 'admin' },
          after: { accessToken: '…4711', type: 'normal', createdAt: startAt, nickname: 'Zoe' },
          ...{ requestId: put.headers['x-request-id'], address: '192.0.2.9' },
        })
        assert.deepEqual(all[3]?.before, { 'limits.maxIps': null, 'quotaLimits.claude': null })
        assert.deepEqual(all[3]?.after, { 'limits.maxIps': 3, 'quotaLimits.claude': 5 })
        const file = await ask(server, 'GET', '/admin/audit?format=ndjson')
        for (const secret of [sentinel, made.body.key, adminSecret]) assert.ok(!file.text.includes(secret))
        assert.ok(!server.log().includes(sentinel))
      }))

    it('is read in pages and by filters, or as a file', () =>
      withServer(async (server) => {
        const users = Array.from({ length: 15 }, (_, index) => ({
          token: `=user ${index}`,
          nickname: '=1+1',
        }))
        await ask(server, 'PUT', '/admin/users', { users })
        await ask(server, 'PUT', '/admin/users/%3Duser%203', { adminNote: 'a "quoted", note' })
        const seqs: number[] = []
        let path = '?limit=4&kind=user.created'
        for (;;) {
          const { body } = await ask(server, 'GET', `/admin/audit${path}`)
          seqs.push(...body.changes.map(({ seq }: Change) => seq))
          if (body.nextCursor === undefined) break
          path = `?limit=4&kind=user.created&cursor=${body.nextCursor}`
        }
        assert.deepEqual(
          seqs,
          Array.from({ length: 15 }, (_, index) => 18 - index),
        )
        const [edit] = await audit(server, '?kind=user.updated')
        assert.deepEqual((await audit(server, `?object=${edit?.object}`)).length, 2)
        assert.equal((await audit(server, `?actor=${edit?.actor.id}`)).length, 16)
        assert.equal((await audit(server, '?actorKind=limit')).length, 0)
        assert.equal((await audit(server, `?to=${startAt + 1}&actorKind=admin_key`)).length, 16)
        assert.equal((await audit(server, `?from=${startAt + 1}&kind=user.created`)).length, 0)

        const lines = (await ask(server, 'GET', '/admin/audit?format=ndjson')).text.trimEnd().split('\n')
        assert.deepEqual(
          lines.map((line) => JSON.parse(line).seq),
          Array.from({ length: 19 }, (_, index) => 19 - index),
        )
        const csv = await ask(server, 'GET', '/admin/audit?format=csv&kind=user.updated')
        assert.match(String(csv.headers['content-type']), /^text\/csv/)
        const [head, row, ...more] = csv.text.split('\r\n')
        assert.equal(
          head,
          'seq,at,time,actorKind,actorId,actorName,kind,object,before,after,requestId,address',
        )
        assert.match(
          row ?? '',
          /^19,1767225600000,2026-01-01T00:00:00\.000Z,admin_key,adk_\w+,admin,user\.updated,usr_\w+,"\{""adminNote"":null\}",/,
        )
        assert.deepEqual(more, [''])
        for (const wrong of [
          '?kind=odd',
          '?limit=0',
          '?cursor=x',
          '?from=2&to=1',
          '?format=csv&limit=5',
          '?odd=1',
          '?actorKind=me',
        ])
          assert.equal((await ask(server, 'GET', `/admin/audit${wrong}`)).status, 400, wrong)
      }))

    it('tells of failed logins in a bounded number of rows, and is closed to other keys', () =>
      withServer(async (server) => {
        const wrong = (secret: string, address: string) =>
          ask(server, 'GET', '/admin/users', undefined, {
            authorization: `Bearer ${secret}`,
            'x-forwarded-for': address,
          })
        for (let guess = 0; guess < 8; guess++)
          assert.equal((await wrong(`guess ${guess}`, '192.0.2.1')).status, 401)
        assert.equal((await wrong('guess', '192.0.2.2')).status, 401)
        const failed = () => audit(server, '?kind=login.failed')
        await waitUntil(async () => (await failed()).length === 2, 'both places are written down')
        const rows = await failed()
        assert.deepEqual(rows.map(({ address }) => address).toSorted(), ['192.0.2.1', '192.0.2.2'])
        assert.deepEqual(
          [rows[0]?.actor, rows[0]?.object, rows[0]?.after],
          [{ kind: 'unknown' }, 'admin', { attempts: 1 }],
        )
        server.clock.now += 11 * 60_000
        assert.equal((await wrong('guess once more', '192.0.2.1')).status, 401)
        await waitUntil(async () => (await failed()).length === 3, 'it is written down again')
        assert.deepEqual((await failed())[0]?.after, { attempts: 8 })
        for (let place = 0; place < 150; place++) await wrong('guess', `198.51.100.${place}`)
        await waitUntil(
          async () => (await audit(server, '?kind=login.failed&limit=500')).length === 100,
          'no more in an hour',
        )

        const as = (secret: string) =>
          ask(server, 'GET', '/admin/audit', undefined, { authorization: `Bearer ${secret}` })
        assert.equal((await as(verifierSecret)).status, 403)
        const { key } = (await ask(server, 'POST', '/admin/keys', { name: 'users', scopes: ['users:write'] }))
          .body
        assert.equal((await as(key)).status, 403)
        const reader = (await ask(server, 'POST', '/admin/keys', { name: 'r', scopes: ['audit:read'] })).body
        assert.equal((await as(reader.key)).status, 200)
      }))

    it('tells of an export', () =>
      withServer(async (server) => {
        await ask(server, 'PUT', `/admin/users/${sentinel}`, {})
        assert.match(
          (await ask(server, 'GET', '/admin/users/export?format=ndjson')).text,
          new RegExp(sentinel),
        )
        assert.deepEqual((await audit(server))[0]?.kind, 'users.exported')
      }))

    it('tells which key has read access tokens in clear, in two rows a minute at most', () =>
      withAdminServer(
        kind,
        async (server) => {
          const readings = () => audit(server, '?kind=users.tokens_read')
          const { id } = (await ask(server, 'PUT', `/admin/users/${sentinel}`, {})).body
          const other = (await ask(server, 'PUT', '/admin/users/another-token', {})).body
          await ask(server, 'GET', `/admin/users/${sentinel}`)
          await ask(server, 'POST', '/admin/tokens/lookup', { token: sentinel })
          const masked = await ask(server, 'POST', '/admin/keys', { name: 'm', scopes: ['users:write'] })
          const headers = { authorization: `Bearer ${masked.body.key}` }
          for (const path of ['', '?limit=5', `/${id}`])
            await ask(server, 'GET', `/admin/users${path}`, undefined, headers)
          await ask(server, 'GET', '/admin/users/usr_000000000000000000000000')
          assert.deepEqual(await readings(), [])

          const first = await ask(server, 'GET', `/admin/users/${id}`)
          await waitUntil(async () => (await readings()).length === 1, 'the first is written at once')
          const [row] = await readings()
          const { keys } = (await ask(server, 'GET', '/admin/keys')).body
          // Keys that were made in the same millisecond stand in any order.
          const keyId = keys.find(({ name }: { readonly name: string }) => name === 'admin')?.id
          assert.deepEqual(
            [row?.actor, row?.object, row?.after, row?.requestId],
            [
              { kind: 'admin_key', id: keyId, name: 'admin' },
              'users',
              { users: 1, ids: [id] },
              first.headers['x-request-id'],
            ],
          )
          await Promise.all(Array.from({ length: 20 }, () => ask(server, 'GET', `/admin/users/${id}`)))
          await ask(server, 'GET', '/admin/users?limit=5')
          await ask(server, 'GET', '/admin/users')
          // Changes nothing, and shows the access token as a reading does.
          await ask(server, 'PUT', `/admin/users/${other.id}`, {})
          await waitUntil(async () => (await readings()).length === 2, 'the others are written together')
          const [rest] = await readings()
          assert.deepEqual(rest?.after, { lists: 1, users: 23, ids: [id, other.id] })
          assert.ok(!JSON.stringify(await readings()).includes(sentinel))
        },
        { tokenReadingsMs: 2000 },
      ))

    it('is verified by a command', async () => {
      const database = await kind.create()
      try {
        const verify = () => runProgram(['audit', 'verify'], { ...database.env, LOG_LEVEL: 'error' })
        const store = await openStore(database.settings())
        await store.users.writeUsers(
          [1, 2, 3].map((index) => ({ ref: { accessToken: `u${index}` }, edit: {} })),
          by(startAt),
        )
        await store.close()
        const whole = await verify()
        assert.deepEqual(
          [whole.code, /The audit trail is whole: 3 changes, from 1 to 3\./.test(whole.output)],
          [0, true],
          whole.output,
        )
        await database.change("update changes set actor_name = 'nobody' where seq = 2")
        const broken = await verify()
        assert.deepEqual(
          [broken.code, /broken at change 2: its row is not as it was written/.test(broken.output)],
          [1, true],
          broken.output,
        )
      } finally {
        await database.remove()
      }
    })
  })
