import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { Store } from '#storage/store.ts'
import { type AdminServer, adminSecret, openAdminServer, startAt } from './support/admin-server.ts'
import { databases } from './support/stores.ts'

interface Listed {
  readonly users: readonly {
    readonly token: string
    readonly nickname?: string
    readonly createdAt: number
  }[]
  readonly count: number
  readonly total?: number
  readonly nextCursor?: string
}

const usersTotal = 1200
let server: AdminServer
/** Every page and count that was asked of the store. */
let pagesRead = 0
let counted = 0

/** The real store, watched. */
function watched(store: Store): Store {
  const { users } = store
  return {
    ...store,
    users: {
      ...users,
      listUsers(request) {
        pagesRead++
        return users.listUsers(request)
      },
      listUserTexts(request) {
        pagesRead++
        return users.listUserTexts(request)
      },
      countUsers(filter, now) {
        counted++
        return users.countUsers(filter, now)
      },
    },
  }
}

async function list(query = ''): Promise<Listed> {
  const { status, text } = await server.send({ method: 'GET', path: `/admin/users${query}` })
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

/** Follows the cursors to the end. `between` runs after each page. */
async function listPages(
  query: string,
  between: (page: number) => Promise<void> = async () => {},
): Promise<Listed[]> {
  const pages = [await list(query)]
  for (let next = pages[0]?.nextCursor; next !== undefined; next = pages.at(-1)?.nextCursor) {
    await between(pages.length)
    pages.push(await list(`?cursor=${next}&limit=100`))
    assert.ok(pages.length < 100, `no end after ${pages.length} pages`)
  }
  return pages
}

const namesOf = (pages: readonly Listed[]) => pages.flatMap(({ users }) => users.map((user) => user.token))

function assertEachOnce(names: readonly string[]): void {
  assert.equal(new Set(names).size, names.length, 'a user stands in the list twice')
}

async function insert(prefix: string, count: number): Promise<void> {
  const users = Array.from({ length: count }, (_, index) => ({
    token: `${prefix}-${index}`,
    nickname: `${prefix} ${String((index * 7919) % 10_007).padStart(5, '0')}`,
    // Many of the same instant, so that the order has to be settled by more than the time.
    createdAt: startAt + Math.floor(index / 50),
    ...(index % 3 === 0 && { lastUsedAt: startAt + ((index * 31) % 500) }),
  }))
  const { status, text } = await server.send({ method: 'PUT', path: '/admin/users', body: { users } })
  assert.equal(status, 200, text)
}

for (const database of databases) {
  describe(`lists on ${database.name}`, () => {
    before(async () => {
      server = await openAdminServer(database, {
        bulkUsersMax: 10_000,
        bodyBytesMax: 8_000_000,
        wrap: watched,
      })
      await insert('base', usersTotal)
    })
    after(() => server.close())

    describe('the list of users', () => {
      it('holds everybody once, and says how many', async () => {
        const { users, count, total, nextCursor } = await list()
        assertEachOnce(users.map((user) => user.token))
        assert.deepEqual(
          [users.length, count, total, nextCursor],
          [usersTotal, usersTotal, undefined, undefined],
        )
      })

      it('has the same users in pages, counted once', async () => {
        counted = 0
        const pages = await listPages('?limit=100')
        assert.equal(counted, 1)
        assert.deepEqual(
          pages.map((page) => page.count),
          Array.from({ length: 12 }, () => 100),
        )
        assert.deepEqual(
          pages.map((page) => page.total),
          Array.from({ length: 12 }, () => usersTotal),
        )
        const names = namesOf(pages)
        assertEachOnce(names)
        assert.deepEqual(
          names,
          (await list()).users.map((user) => user.token),
        )
      })

      const orders: readonly (readonly [
        string,
        (user: Listed['users'][number] & { lastUsedAt?: number }) => number | string | undefined,
      ])[] = [
        ['createdAt', (user) => user.createdAt],
        ['nickname', (user) => user.nickname],
        ['lastUsedAt', (user) => user.lastUsedAt],
      ]
      for (const [field, read] of orders) {
        for (const sign of ['', '-']) {
          it(`sorts by ${sign}${field} across pages, those without one last`, async () => {
            const pages = await listPages(`?sort=${sign}${field}&limit=100`)
            const users = pages.flatMap((page) => page.users)
            assert.equal(users.length, usersTotal)
            assertEachOnce(namesOf(pages))
            const values = users.map(read)
            const set = values.filter((value) => value !== undefined)
            assert.deepEqual(
              values.slice(set.length),
              Array.from({ length: usersTotal - set.length }, () => undefined),
            )
            const sorted = [...set].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
            assert.deepEqual(set, sign === '-' ? sorted.reverse() : sorted)
          })
        }
      }

      it('takes a cursor with the question it belongs to, or without it, but not with another', async () => {
        const first = await list('?q=base&sort=-nickname&limit=2')
        const same = await list(`?q=base&sort=-nickname&limit=2&cursor=${first.nextCursor}`)
        assert.deepEqual((await list(`?limit=2&cursor=${first.nextCursor}`)).users, same.users)
        for (const other of ['q=other', 'sort=nickname', 'type=special', 'state=active']) {
          const { status, text } = await server.send({
            method: 'GET',
            path: `/admin/users?${other}&cursor=${first.nextCursor}`,
          })
          assert.equal(status, 400, text)
          assert.match(text, /"path":"cursor"/)
        }
      })

      it('is narrowed by tag, last use, share of a quota and addresses, page by page', async () => {
        const users = Array.from({ length: 5 }, (_, index) => ({
          token: `narrow-${index}`,
          tags: index % 2 === 0 ? ['even', 'Größe'] : ['odd'],
          lastUsedAt: startAt - index * 1000,
          tokenLimits: { claude: 10 },
          tokenCounts: { claude: 2 * index },
          ip: Array.from({ length: index }, (_, at) => `192.0.2.${at}`),
          meta: { place: `room ${index}` },
        }))
        const { status, text } = await server.send({ method: 'PUT', path: '/admin/users', body: { users } })
        assert.equal(status, 200, text)
        const names = async (query: string) => namesOf(await listPages(`?limit=1&${query}`)).toSorted()
        assert.deepEqual(await names('tag=even'), ['narrow-0', 'narrow-2', 'narrow-4'])
        assert.deepEqual(await names('tag=even,Gr%C3%B6%C3%9Fe&addresses=3'), ['narrow-4'])
        assert.deepEqual(await names('tag=even,odd'), [])
        assert.deepEqual(await names(`tag=odd&usedFrom=${startAt - 2000}`), ['narrow-1'])
        assert.deepEqual(await names(`tag=odd&usedBefore=${startAt - 2000}`), ['narrow-3'])
        assert.deepEqual(await names('usedPercent=60'), ['narrow-3', 'narrow-4'])
        assert.deepEqual(await names('usedPercent=60&family=claude&q=ROOM%203'), ['narrow-3'])
        assert.deepEqual(await names('usedPercent=60&family=gpt4'), [])
        const first = await list('?limit=1&tag=even&addresses=1')
        for (const other of ['tag=odd', 'addresses=2', 'usedPercent=1', 'usedFrom=2026-01-01'])
          assert.equal((await list400(`?${other}&cursor=${first.nextCursor}`)).path, 'cursor', other)
        for (const [query, path] of [
          ['tag=', 'tag[0]'],
          ['tag=a,%20b', 'tag[1]'],
          ['tag=a,b,c,d,e,f', 'tag'],
          ['usedFrom=yesterday', 'usedFrom'],
          [`usedBefore=${startAt / 1000}`, 'usedBefore'],
          ['usedPercent=0', 'usedPercent'],
          ['usedPercent=1001', 'usedPercent'],
          ['family=claude', 'family'],
          ['family=nope&usedPercent=5', 'family'],
          ['addresses=257', 'addresses'],
        ] as const)
          assert.equal((await list400(`?${query}`)).path, path, query)
      })

      async function list400(query: string): Promise<{ readonly path: string }> {
        const { status, text } = await server.send({ method: 'GET', path: `/admin/users${query}` })
        assert.equal(status, 400, text)
        return JSON.parse(text).issues[0]
      }

      it('shows each of those who were there once while others come', async () => {
        const before = new Set(namesOf([await list()]))
        const pages = await listPages('?limit=100', (page) => insert(`paged-${page}`, 20))
        const names = namesOf(pages)
        assertEachOnce(names)
        assert.deepEqual(
          [...before].filter((name) => !names.includes(name)),
          [],
        )

        const inserts = Array.from({ length: 10 }, (_, index) => insert(`streamed-${index}`, 20))
        const [streamed] = await Promise.all([list(), ...inserts])
        assertEachOnce(streamed.users.map((user) => user.token))
        assert.equal(streamed.count, streamed.users.length)
        assert.deepEqual(
          [...before].filter((name) => !streamed.users.some((user) => user.token === name)),
          [],
        )
      })
    })

    /** Asks for the whole list and hands back the answer unread. */
    function openList(): Promise<IncomingMessage> {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      const headers = { authorization: `Bearer ${adminSecret}` }
      httpRequest(
        { host: '127.0.0.1', port: server.port, path: '/admin/users', headers, agent: false },
        resolve,
      )
        .on('error', reject)
        .end()
      return promise
    }

    describe('the streamed list', () => {
      before(async () => {
        // Large enough that the sockets' own buffers cannot take all of it.
        const adminNote = 'x'.repeat(9000)
        for (let part = 0; part < 10; part++) {
          const users = Array.from({ length: 400 }, (_, index) => ({
            token: `heavy-${part}-${index}`,
            adminNote,
          }))
          const { status } = await server.send({ method: 'PUT', path: '/admin/users', body: { users } })
          assert.equal(status, 200)
        }
      })

      /** Waits until no page has been read for a while: the server has stopped. */
      async function untilStill(): Promise<number> {
        for (let last = -1; last !== pagesRead; ) {
          last = pagesRead
          await new Promise((resolve) => setTimeout(resolve, 150))
        }
        return pagesRead
      }

      it('reads no further than a slow client takes, and all of it in the end', async () => {
        pagesRead = 0
        const response = await openList()
        const pagesWhenStill = await untilStill()
        assert.ok(pagesWhenStill < 20, `${pagesWhenStill} pages were read for a client that takes none`)
        let text = ''
        for await (const chunk of response) text += chunk
        const { users, count }: Listed = JSON.parse(text)
        assert.equal(users.length, count)
        assert.ok(count > 5000)
        assert.ok(pagesRead > pagesWhenStill)
      })

      it('stops reading when the client goes', async () => {
        const response = await openList()
        await untilStill()
        response.destroy()
        const pages = await untilStill()
        await new Promise((resolve) => setTimeout(resolve, 100))
        assert.equal(pagesRead, pages)
      })
    })
  })
}
