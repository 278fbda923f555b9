import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserEdit } from '#core/user-edit.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type AdminServer, startAt, withAdminServer } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { close, open } from './support/ledger.ts'
import { databases } from './support/stores.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

async function make(server: AdminServer, count: number, edit: UserEdit = {}): Promise<readonly string[]> {
  const writes = Array.from({ length: count }, (_, index) => ({
    ref: { accessToken: `${JSON.stringify(edit)}-${index}` },
    edit: { nickname: `n${index}`, createdAt: startAt + Math.floor(index / 7), ...edit },
  }))
  const result = await server.store.users.writeUsers(writes, by(startAt))
  assert.ok(result.kind === 'written')
  return result.users.map(({ id }) => id)
}

async function post(server: AdminServer, path: string, body: unknown = {}) {
  const { status, text } = await server.send({ method: 'POST', path, body })
  return { status, body: JSON.parse(text) }
}

const begin = (server: AdminServer, body: unknown) => post(server, '/admin/users/bulk', body)
const undo = (server: AdminServer, id: string) => post(server, `/admin/bulk/${id}/undo`)

async function usersOf(server: AdminServer) {
  const { users } = await server.store.users.listUsers({ limit: 5000, now: server.clock.now })
  return users
}

/** Everything of the users but their revision, which says only that they were written. */
async function shown(server: AdminServer): Promise<unknown> {
  return (await usersOf(server)).map(({ revision: _, quotas, ...user }) => ({ ...user, quotas: [...quotas] }))
}

/** A store whose batches fail while it is away. */
function goneWhile(isAway: () => boolean, batch: 'editBatch' | 'rotateBatch') {
  return {
    wrap: (store: AdminServer['store']) => ({
      ...store,
      users: {
        ...store.users,
        [batch]: (...args: unknown[]): unknown =>
          isAway()
            ? Promise.reject(new StoreUnavailable(new Error('gone')))
            : Reflect.apply(store.users[batch], store.users, args),
      },
    }),
  }
}

for (const kind of databases) {
  const withServer = (use: (server: AdminServer) => Promise<void>, options = {}) =>
    withAdminServer(kind, use, options)

  describe(`bulk actions on ${kind.name}`, () => {
    it('change each user of a filter once, and can be taken back', () =>
      withServer(async (server) => {
        await make(server, 450, { tags: ['old'] })
        await make(server, 10, { tags: ['other'] })
        await make(server, 5, { tags: ['old', 'off'], disabledAt: 5, disabledReason: 'before' })
        const before = await shown(server)
        const action = { kind: 'disable', reason: 'left' }
        const { status, body } = await begin(server, { action, filter: { tag: 'old' } })
        assert.equal(status, 200, JSON.stringify(body))
        const { id, createdAt: _, undoUntil, ...run } = body
        const counts = { changed: 455, unchanged: 0, failed: 0, undone: 0, kept: 0, errors: [] }
        assert.deepEqual(run, {
          ...{ dryRun: false, state: 'done', action, by: run.by, matched: 455 },
          ...counts,
        })
        assert.equal(undoUntil, startAt + hourMs)
        const users = await usersOf(server)
        const disabled = users.filter((user) => user.disabledAt !== undefined)
        assert.equal(disabled.length, 455)
        assert.equal(disabled.filter(({ disabledAt }) => disabledAt === 5).length, 5)
        assert.ok(disabled.every(({ disabledReason }) => disabledReason === 'left'))
        const again = await begin(server, { action, filter: { tag: 'old' } })
        assert.deepEqual([again.body.changed, again.body.unchanged], [0, 455])
        const back = await undo(server, id)
        assert.deepEqual(
          [back.status, back.body.state, back.body.undone, back.body.kept],
          [200, 'undone', 455, 0],
        )
        assert.deepEqual(await shown(server), before)
        assert.equal((await undo(server, id)).body.undone, 455)
      }))

    const actions: readonly (readonly [action: object, edit: UserEdit, expected: object])[] = [
      [
        { kind: 'enable' },
        { disabledAt: 5, disabledReason: 'r' },
        { disabledAt: undefined, disabledReason: undefined },
      ],
      [{ kind: 'type', type: 'special' }, {}, { type: 'special' }],
      [
        { kind: 'setLimits', limits: { maxIps: 3, period: 'daily', tokenLimits: { claude: 5, gpt4: null } } },
        { limits: { maxIps: 9, requestsPerMinute: 4 }, quotaLimits: { gpt4: 8 } },
        { limits: { maxIps: 3, requestsPerMinute: 4, period: 'daily' } },
      ],
      [
        { kind: 'addToLimits', tokenLimits: { claude: 7, turbo: 7 } },
        { quotaLimits: { claude: 5, turbo: -1 } },
        {},
      ],
      [{ kind: 'extend', days: 2 }, { expiresAt: startAt - dayMs }, { expiresAt: startAt + 2 * dayMs }],
      [{ kind: 'extend', until: startAt + 5 }, { expiresAt: startAt + dayMs }, { expiresAt: startAt + 5 }],
      [
        { kind: 'tag', add: ['new', 'kept'], remove: ['gone'] },
        { tags: ['kept', 'gone'] },
        { tags: ['kept', 'new'] },
      ],
      [{ kind: 'tag', remove: ['gone'] }, { tags: ['gone'] }, { tags: undefined }],
    ]
    for (const [action, edit, expected] of actions) {
      it(`${JSON.stringify(action)} does so, and back`, () =>
        withServer(async (server) => {
          const ids = await make(server, 3, edit)
          const before = await shown(server)
          const { status, body } = await begin(server, { action, ids })
          assert.deepEqual([status, body.changed, body.state], [200, 3, 'done'], JSON.stringify(body))
          const [user] = await usersOf(server)
          const fields: Readonly<Record<string, unknown>> = { ...user }
          for (const [name, value] of Object.entries(expected)) assert.deepEqual(fields[name], value, name)
          if ('tokenLimits' in action)
            assert.deepEqual([user?.quotas.get('claude')?.limit, user?.quotas.get('turbo')?.limit], [12, -1])
          if ('limits' in action)
            assert.deepEqual(
              [user?.quotas.get('claude')?.limit, user?.quotas.get('gpt4')?.limit],
              [5, undefined],
            )
          const back = await undo(server, body.id)
          assert.equal(back.body.undone, 3)
          assert.deepEqual(await withoutEmpty(server), withoutEmptyOf(before))
        }))
    }

    /** A quota that nothing is set of any more says the same as none. */
    function withoutEmptyOf(users: unknown): unknown {
      const text = JSON.stringify(users)
      return JSON.parse(
        text
          .replaceAll(/\["\w+",\{"used":0,"reserved":0,"extra":0,"openRequests":0\}\],?/g, '')
          .replaceAll(',]', ']'),
      )
    }
    async function withoutEmpty(server: AdminServer): Promise<unknown> {
      return withoutEmptyOf(await shown(server))
    }

    it('leave alone on the way back what was changed again since', () =>
      withServer(async (server) => {
        const [one = '', two = ''] = await make(server, 2)
        const action = { kind: 'setLimits', limits: { maxIps: 3, requestsPerMinute: 9 } }
        const { body } = await begin(server, { action, ids: [one, two] })
        await server.store.users.writeUsers(
          [{ ref: { id: one }, edit: { limits: { maxIps: 7 } } }],
          by(startAt),
        )
        await server.store.users.writeUsers(
          [{ ref: { id: two }, edit: { limits: { maxIps: 7, requestsPerMinute: null } } }],
          by(startAt),
        )
        const back = await undo(server, body.id)
        assert.deepEqual([back.body.undone, back.body.kept], [1, 1])
        assert.deepEqual((await server.store.users.findUser({ id: one }, startAt))?.limits, { maxIps: 7 })
        assert.deepEqual((await server.store.users.findUser({ id: two }, startAt))?.limits, { maxIps: 7 })
      }))

    it('say in a dry run how many and what, and change nothing', () =>
      withServer(async (server) => {
        const ids = await make(server, 150, { tags: ['a'] })
        const before = await shown(server)
        const action = { kind: 'tag', add: ['b'] }
        const { body } = await begin(server, { action, filter: { q: 'n', state: 'active' }, dryRun: true })
        assert.deepEqual([body.dryRun, body.matched, body.users.length, body.id], [true, 150, 100, undefined])
        assert.deepEqual(body.users[0].changes, [{ field: 'tags', before: ['a'], after: ['a', 'b'] }])
        const named = await begin(server, {
          action,
          ids: [...ids.slice(0, 2), 'usr_01kdvdna003cn7w85sfpyp0x'],
          dryRun: true,
        })
        assert.deepEqual([named.body.matched, named.body.users.length, named.body.errors.length], [3, 2, 1])
        assert.deepEqual(await shown(server), before)
        assert.deepEqual((await server.store.bulk.listRuns(9)).length, 0)
      }))

    it('count those that cannot be changed, and go on', () =>
      withServer(async (server) => {
        const [ok = '', full = ''] = [
          ...(await make(server, 1)),
          ...(await make(server, 1, { tags: Array.from({ length: 20 }, (_, index) => `t${index}`) })),
        ]
        const unknown = 'usr_01kdvdna003cn7w85sfpyp0x'
        const tagged = await begin(server, { action: { kind: 'tag', add: ['b'] }, ids: [full, unknown, ok] })
        assert.deepEqual([tagged.body.changed, tagged.body.failed], [1, 2])
        assert.deepEqual(
          tagged.body.errors.map(({ user, path }: { user: string; path: string }) => [user, path]).toSorted(),
          [
            [full, 'tags'],
            [unknown, ''],
          ].toSorted(),
        )
        const typed = await begin(server, { action: { kind: 'type', type: 'temporary' }, ids: [ok, full] })
        assert.deepEqual(
          [typed.body.changed, typed.body.failed, typed.body.errors[0].path],
          [0, 2, 'expiresAt'],
        )
      }))

    it('reset usage, which cannot be taken back', () =>
      withServer(async (server) => {
        const ids = await make(server, 3, { quotaUsed: { claude: 5, gpt4: 6 } })
        const { body } = await begin(server, { action: { kind: 'resetUsage', families: ['claude'] }, ids })
        assert.deepEqual([body.changed, body.undoUntil], [3, undefined])
        const [user] = await usersOf(server)
        assert.deepEqual([user?.quotas.get('claude')?.used, user?.quotas.get('gpt4')?.used], [0, 6])
        assert.equal((await undo(server, body.id)).status, 409)
      }))

    it('go on after the store went away, and change each user once', () => {
      let batches = 0
      return withServer(
        async (server) => {
          await make(server, 450, { quotaLimits: { claude: 10 } })
          const action = { kind: 'addToLimits', tokenLimits: { claude: 5 } }
          batches = 1
          const broken = await begin(server, { action, filter: {} })
          assert.equal(broken.status, 503)
          const { text } = await server.send({ method: 'GET', path: '/admin/bulk' })
          const [run] = JSON.parse(text).runs
          assert.deepEqual([run.state, run.changed, run.matched], ['running', 200, 450])
          const more = await post(server, `/admin/bulk/${run.id}/continue`)
          assert.deepEqual([more.status, more.body.state, more.body.changed], [200, 'done', 450])
          const limits = (await usersOf(server)).map((user) => user.quotas.get('claude')?.limit)
          assert.deepEqual([...new Set(limits)], [15])
          assert.equal((await post(server, `/admin/bulk/${run.id}/continue`)).body.changed, 450)
          batches = 1
          assert.equal((await undo(server, run.id)).status, 503)
          const back = await undo(server, run.id)
          assert.deepEqual([back.body.state, back.body.undone], ['undone', 450])
          assert.deepEqual(
            [...new Set((await usersOf(server)).map((user) => user.quotas.get('claude')?.limit))],
            [10],
          )
        },
        {
          wrap: (store: AdminServer['store']) => ({
            ...store,
            users: {
              ...store.users,
              async editBatch(...args: Parameters<typeof store.users.editBatch>) {
                // The batch is written, but its answer is lost.
                const result = await store.users.editBatch(...args)
                if (batches === 1) {
                  batches = 0
                  throw new StoreUnavailable(new Error('gone'), { mayHaveHappened: true })
                }
                return result
              },
            },
          }),
        },
      )
    })

    it('meet a user who is changed in between with what the user is then', () => {
      let meddle: (() => Promise<void>) | undefined
      return withServer(
        async (server) => {
          const [id = ''] = await make(server, 1, { quotaLimits: { claude: 10 } })
          meddle = async () => {
            meddle = undefined
            await server.store.users.writeUsers(
              [{ ref: { id }, edit: { quotaLimits: { claude: 100 } } }],
              by(startAt),
            )
          }
          const action = { kind: 'addToLimits', tokenLimits: { claude: 5 } }
          assert.equal((await begin(server, { action, ids: [id] })).body.changed, 1)
          assert.equal((await server.store.users.findUser({ id }, startAt))?.quotas.get('claude')?.limit, 105)
        },
        {
          wrap: (store: AdminServer['store']) => ({
            ...store,
            users: {
              ...store.users,
              async editBatch(...args: Parameters<typeof store.users.editBatch>) {
                await meddle?.()
                return store.users.editBatch(...args)
              },
            },
          }),
        },
      )
    })

    it('replace the access tokens of many, which are read afterwards by a key that may see them', () =>
      withServer(async (server) => {
        const ids = await make(server, 250, { tags: ['turned'] })
        await make(server, 2)
        const before = await usersOf(server)
        const previousUntil = startAt + dayMs
        const action = { kind: 'rotate', previousUntil }
        const { status, body } = await begin(server, { action, filter: { tag: 'turned' } })
        assert.deepEqual([status, body.state, body.changed, body.undoUntil], [200, 'done', 250, undefined])
        const after = new Map((await usersOf(server)).map((user) => [user.id, user]))
        for (const user of before) {
          const now = after.get(user.id) ?? assert.fail()
          const isTurned = ids.includes(user.id)
          assert.equal(now.accessToken !== user.accessToken, isTurned)
          assert.equal(now.revision, user.revision + (isTurned ? 1 : 0))
        }
        const old = before.filter(({ id }) => ids.includes(id)).map(({ accessToken }) => accessToken)
        const states = await server.store.users.findTokenStates(old)
        assert.deepEqual(
          [...new Set(states.map((state) => JSON.stringify(state)))],
          [JSON.stringify({ kind: 'old', until: previousUntil })],
        )
        const fresh = ids.map((id) => after.get(id)?.accessToken ?? assert.fail())
        const listed = await server.send({
          method: 'GET',
          path: `/admin/users/export?run=${body.id}&format=ndjson`,
        })
        assert.equal(listed.status, 200, listed.text)
        const lines = listed.text
          .trim()
          .split('\n')
          .map((line): { token: string } => JSON.parse(line))
        assert.deepEqual(lines.map(({ token }) => token).toSorted(), fresh.toSorted())
        const shown = JSON.stringify([body, await server.store.bulk.findRun(body.id)]) + server.log()
        const kept = JSON.stringify(
          (await server.store.changes.listChanges({ filter: {}, limit: 999 })).changes,
        )
        for (const token of [...old, ...fresh]) assert.ok(!shown.includes(token) && !kept.includes(token))
        const again = await post(server, `/admin/bulk/${body.id}/continue`)
        assert.equal(again.body.changed, 250)
        assert.equal(
          (await server.store.users.findUser({ id: ids[0] ?? '' }, startAt))?.accessToken,
          fresh[0],
        )
        const back = await undo(server, body.id)
        assert.deepEqual([back.status, back.body.code], [409, 'conflict'])
        assert.match(back.body.error, /grace/)
      }))

    it('replace no token any more when the grace is over before they come to it', () => {
      let isAway = true
      return withServer(
        async (server) => {
          await make(server, 250)
          const action = { kind: 'rotate', previousUntil: startAt + hourMs }
          assert.equal((await begin(server, { action, filter: {} })).status, 503)
          isAway = false
          const [run] = await server.store.bulk.listRuns(1)
          server.clock.now += hourMs
          const before = await usersOf(server)
          const { body } = await post(server, `/admin/bulk/${run?.id}/continue`)
          assert.deepEqual([body.state, body.changed, body.failed], ['done', 0, 250])
          assert.match(body.errors[0].message, /begin another/)
          assert.deepEqual(await usersOf(server), before)
        },
        goneWhile(() => isAway, 'rotateBatch'),
      )
    })

    it('purge exactly those who were confirmed', () =>
      withServer(
        async (server) => {
          const ids = await make(server, 250, { tags: ['gone'] })
          const [busy = ''] = ids
          const requestId = await open(server.store, { userId: busy, at: startAt })
          const action = { kind: 'purge' }
          const dry = await begin(server, { action, filter: { tag: 'gone' }, dryRun: true })
          assert.deepEqual([dry.body.matched, dry.body.errors.length], [250, 1])
          await make(server, 1, { tags: ['gone', 'late'] })
          const stale = await begin(server, { action, filter: { tag: 'gone' }, confirm: dry.body.matched })
          assert.deepEqual([stale.status, stale.body.code], [409, 'conflict'])
          assert.match(stale.body.error, /for 251 users, not 250/)
          assert.equal((await usersOf(server)).length, 251)
          const { body } = await begin(server, { action, ids, confirm: 250 })
          assert.deepEqual([body.state, body.changed, body.failed], ['done', 249, 1], JSON.stringify(body))
          assert.deepEqual([body.errors[0].user, body.undoUntil], [busy, undefined])
          await close(server.store, requestId, { userId: busy, at: startAt })
          assert.equal((await usersOf(server)).length, 2)
          const rest = await begin(server, { action, filter: { tag: 'gone' }, confirm: 2 })
          assert.deepEqual([rest.body.changed, rest.body.failed], [2, 0])
          assert.equal((await undo(server, body.id)).status, 409)
          const { changes } = await server.store.changes.listChanges({
            filter: { kind: 'user.purged' },
            limit: 999,
          })
          assert.equal(new Set(changes.map(({ object }) => object)).size, 251)
          assert.equal(await server.store.upkeep.purgeTraces(undefined, 9), 0, 'also what was said of them')
          const made = await server.send({
            ...{ method: 'POST', path: '/admin/keys' },
            body: { name: 'writer', scopes: ['users:write'] },
          })
          const headers = { authorization: `Bearer ${JSON.parse(made.text).key}` }
          const path = '/admin/users/bulk'
          for (const more of [{ dryRun: true }, { confirm: 0 }]) {
            const body = { action, filter: {}, ...more }
            const refused = await server.send({ method: 'POST', path, body, headers })
            assert.deepEqual([refused.status, JSON.parse(refused.text).code], [403, 'forbidden'])
          }
          const goesOn = { method: 'POST', path: `/admin/bulk/${rest.body.id}/continue`, headers }
          assert.equal((await server.send(goesOn)).status, 403)
        },
        { bulkUsersMax: 300 },
      ))

    it('purge no more at once than one call may name', () =>
      withServer(async (server) => {
        await make(server, 21)
        const { status } = await begin(server, { action: { kind: 'purge' }, filter: {}, confirm: 21 })
        assert.equal(status, 413)
        assert.equal((await usersOf(server)).length, 21)
      }))

    it('are gone on with by two callers at once, and count and change each user once', () => {
      let isAway = true
      return withServer(
        async (server) => {
          await make(server, 900, { quotaLimits: { claude: 10 } })
          const action = { kind: 'addToLimits', tokenLimits: { claude: 5 } }
          assert.equal((await begin(server, { action, filter: {} })).status, 503)
          isAway = false
          const [run] = await server.store.bulk.listRuns(1)
          const callers = (what: string) =>
            Promise.all([1, 2, 3].map(() => post(server, `/admin/bulk/${run?.id}/${what}`)))
          const counts = ({ body }: Awaited<ReturnType<typeof post>>) => [
            body.state,
            body.changed,
            body.unchanged,
          ]
          for (const done of await callers('continue')) assert.deepEqual(counts(done), ['done', 900, 0])
          const limits = async () =>
            new Set((await usersOf(server)).map((user) => user.quotas.get('claude')?.limit))
          assert.deepEqual([...(await limits())], [15])
          for (const { body } of await callers('undo'))
            assert.deepEqual([body.state, body.undone, body.kept], ['undone', 900, 0])
          assert.deepEqual([...(await limits())], [10])
          const { changes } = await server.store.changes.listChanges({
            filter: { kind: 'bulk.undone' },
            limit: 9,
          })
          assert.equal(changes.length, 1)
        },
        goneWhile(() => isAway, 'editBatch'),
      )
    })

    it('stop where another caller takes them back', () => {
      let meddle: (() => Promise<void>) | undefined
      return withServer(
        async (server) => {
          await make(server, 450, { quotaLimits: { claude: 10 } })
          let batches = 0
          meddle = async () => {
            if (++batches !== 2) return
            const [run] = await server.store.bulk.listRuns(1)
            const { body } = await undo(server, run?.id ?? '')
            assert.deepEqual([body.state, body.undone], ['undone', 200])
          }
          const action = { kind: 'addToLimits', tokenLimits: { claude: 5 } }
          const { body } = await begin(server, { action, filter: {} })
          assert.deepEqual([body.state, body.changed, body.undone], ['undone', 200, 200])
          const limits = (await usersOf(server)).map((user) => user.quotas.get('claude')?.limit)
          assert.deepEqual([...new Set(limits)], [10])
        },
        {
          wrap: (store: AdminServer['store']) => ({
            ...store,
            users: {
              ...store.users,
              async editBatch(...args: Parameters<typeof store.users.editBatch>) {
                await meddle?.()
                return store.users.editBatch(...args)
              },
            },
          }),
        },
      )
    })

    it('leave one change for the whole, and one for each user', () =>
      withServer(async (server) => {
        const ids = await make(server, 3)
        const from = await server.store.changes.lastChange()
        const { body } = await begin(server, { action: { kind: 'disable' }, ids })
        await undo(server, body.id)
        const seen = await server.store.changes.readChanges(from, 99)
        assert.ok(seen.kind === 'read')
        const told = seen.changes.map(({ kind: what, object }) => [what, object])
        const of = (what: string) => ids.toSorted().map((id) => [what, id])
        assert.deepEqual(told.toSorted(), [
          ['bulk.begun', body.id],
          ['bulk.undone', body.id],
          ...of('user.disabled'),
          ...of('user.enabled'),
        ])
      }))

    it('cannot be taken back after an hour', () =>
      withServer(async (server) => {
        const ids = await make(server, 1)
        const { body } = await begin(server, { action: { kind: 'disable' }, ids })
        server.clock.now += hourMs + 1
        assert.equal((await undo(server, body.id)).status, 409)
        server.clock.now += dayMs
        await begin(server, { action: { kind: 'enable' }, ids })
        assert.deepEqual(await server.store.bulk.listUndo(body.id, 9), [])
      }))

    it('refuse what is not clear', () =>
      withServer(async (server) => {
        const action = { kind: 'enable' }
        for (const [body, path] of [
          [{ action }, 'ids'],
          [{ action, ids: ['usr_01kdvdna003cn7w85sfpyp0x'], filter: {} }, 'ids'],
          [{ action, ids: ['sk-token'] }, 'ids[0]'],
          [{ action, filter: { tags: 'a' } }, 'filter.tags'],
          [{ action, filter: { usedFrom: 'x' } }, 'filter.usedFrom'],
          [{ action: { kind: 'delete' }, filter: {} }, 'action.kind'],
          [{ action: { kind: 'disable', raeson: 'x' }, filter: {} }, 'action.raeson'],
          [{ action: { kind: 'setLimits', limits: { maxIp: 1 } }, filter: {} }, 'action.limits.maxIp'],
          [
            { action: { kind: 'setLimits', limits: { nickname: 'x' } }, filter: {} },
            'action.limits.nickname',
          ],
          [
            { action: { kind: 'setLimits', limits: { tokenLimits: { x: 1 } } }, filter: {} },
            'action.limits.tokenLimits.x',
          ],
          [{ action: { kind: 'addToLimits', tokenLimits: { x: 1 } }, filter: {} }, 'action.tokenLimits.x'],
          [{ action: { kind: 'extend' }, filter: {} }, 'action.days'],
          [{ action: { kind: 'resetUsage', families: ['x'] }, filter: {} }, 'action.families.x'],
          [{ action: { kind: 'tag', add: ['a,b'] }, filter: {} }, 'action.add[0]'],
          [{ action, filter: {}, dry: true }, 'dry'],
          [{ action: { kind: 'rotate', previousUntil: startAt }, filter: {} }, 'action.previousUntil'],
          [
            { action: { kind: 'rotate', previousUntil: startAt + 8 * dayMs }, filter: {} },
            'action.previousUntil',
          ],
          [{ action: { kind: 'purge' }, filter: {} }, 'confirm'],
          [{ action, filter: {}, confirm: 1 }, 'confirm'],
          [{ action, filter: { run: 'a\nb' } }, 'filter.run'],
        ] as const) {
          const answer = await begin(server, body)
          assert.deepEqual([answer.status, answer.body.issues?.[0].path], [400, path], JSON.stringify(body))
        }
      }))
  })
}
