import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import OpenAI from 'openai'
import { createAccessToken } from '#core/access-token.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { by } from './support/by.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { openPlanes, type Planes, planesAdminKey } from './support/planes.ts'
import { databases } from './support/stores.ts'

/**
 * Wrong credentials at every plane of a running server, from addresses that a trusted proxy tells. How long which door
 * stays closed is held beside the throttle itself.
 */
let planes: Planes
let addresses = 0
/** An address that no other test uses. */
const elsewhere = () => `203.0.113.${++addresses}`
let guesses = 0
const guess = () => `guess-${++guesses}`

interface Door {
  readonly name: string
  /** Answers the status that a credential gets there. */
  readonly ask: (address: string, credential: string) => Promise<number>
  readonly right: () => Promise<string>
}

const statusOf = async (address: string, path: string, accessToken: string, method = 'GET', body?: object) =>
  (await planes.from(address, { path, method, accessToken, ...(body && { body }) })).status

const chat = { model: 'gpt-4o', messages: [] }
const user = () => planes.createUser()
const keyOf = async (scope: 'admin' | 'verifier') =>
  (await createAdminKey(planes.store.adminKeys, { name: scope, scopes: [scope] }, by(planes.wall.now))).secret
let verifierKey: string

const tokenDoors: readonly Door[] = [
  { name: 'models', ask: (from, credential) => statusOf(from, '/v1/models', credential), right: user },
  { name: 'usage', ask: (from, credential) => statusOf(from, '/v1/usage', credential), right: user },
  {
    name: 'relays',
    // Nothing serves it; so much is said only to those who are known.
    ask: async (from, credential) => {
      const status = await statusOf(from, '/v1/chat/completions', credential, 'POST', chat)
      return status === 404 ? 200 : status
    },
    right: user,
  },
  {
    name: 'forward authentication',
    ask: async (from, credential) => {
      const headers = { 'x-tollgate-key': verifierKey }
      return (
        await planes.from(from, { method: 'GET', path: '/auth/verify', accessToken: credential, headers })
      ).status
    },
    right: user,
  },
  {
    name: 'questions of a gateway',
    ask: async (address, token) => {
      const body = { token, address }
      const asked = { path: '/auth/check', accessToken: verifierKey, body }
      const { code } = JSON.parse((await planes.from('198.51.100.1', asked)).text)
      return { ok: 200, unknown_access_token: 401, throttled: 429 }[String(code)] ?? 403
    },
    right: user,
  },
]
const keyDoors: readonly Door[] = [
  {
    name: 'the admin API',
    ask: (from, credential) => statusOf(from, '/admin/users?limit=1', credential),
    right: () => keyOf('admin'),
  },
  {
    name: "the verifier's keys",
    ask: (from, credential) => statusOf(from, '/auth/check', credential, 'POST', { token: 'x' }),
    right: () => keyOf('verifier'),
  },
]

/** The statuses of so many guesses, each of another credential. */
async function guessAt({ ask }: Door, address: string, times: number): Promise<number[]> {
  const statuses: number[] = []
  for (let time = 0; time < times; time++) statuses.push(await ask(address, guess()))
  return statuses
}

const count = (statuses: readonly number[], wanted: number) =>
  statuses.filter((status) => status === wanted).length

/** That so many guesses were answered, and no more than one for each time that the door has been open since. */
function assertThrottled(statuses: readonly number[], sinceMs: number, free = 10): void {
  const told = statuses.map((status) => (status === 401 ? 'x' : '.')).join('')
  const reopened = Math.floor(Math.log2(1 + (performance.now() - sinceMs) / 1000))
  const answered = count(statuses, 401)
  assert.equal(answered + count(statuses, 429), statuses.length, String(statuses))
  assert.ok(answered > free && answered <= free + 1 + reopened, told)
}

for (const database of databases)
  describe(`guesses on ${database.name}`, () => {
    before(async () => {
      planes = await openPlanes(database)
      verifierKey = await keyOf('verifier')
    })
    after(() => planes.close())

    for (const door of [...tokenDoors, ...keyDoors])
      describe(`at ${door.name}`, () => {
        it('are refused after the eleventh, and a right credential of ours is let in all the same', async () => {
          const address = elsewhere()
          const right = await door.right()
          const since = performance.now()
          const statuses = await guessAt(door, address, 30)
          for (let time = 0; time < 5; time++) assert.equal(await door.ask(address, right), 200)
          statuses.push(...(await guessAt(door, address, 5)))
          assertThrottled(statuses, since)
        })

        it('are not forgiven by a right credential between them', async () => {
          const address = elsewhere()
          const right = await door.right()
          const statuses: number[] = []
          const since = performance.now()
          for (let time = 0; time < 40; time++) {
            assert.equal(await door.ask(address, right), 200)
            statuses.push(await door.ask(address, guess()))
          }
          assertThrottled(statuses, since)
        })

        it('do not count again: a forgotten client locks no neighbour out', async () => {
          const address = elsewhere()
          const right = await door.right()
          for (let time = 0; time < 90; time++) {
            assert.equal(await door.ask(address, `stale-${time % 3}`), 401)
            if (time % 30 === 29) assert.equal(await door.ask(address, right), 200)
          }
        })

        it('count at once: a hundred at the same time are no more than one by one', async () => {
          const address = elsewhere()
          const since = performance.now()
          const statuses = await Promise.all(Array.from({ length: 100 }, () => door.ask(address, guess())))
          assertThrottled(statuses, since)
        })
      })

    for (const door of tokenDoors)
      it(`a disabled and an expired access token take no guess back at ${door.name}`, async () => {
        for (const edit of [{ disabledAt: 1 }, { type: 'temporary', expiresAt: 1 }]) {
          const address = elsewhere()
          const blocked = await planes.createUser(edit)
          const statuses: number[] = []
          const since = performance.now()
          for (let time = 0; time < 40; time++) {
            const told = await door.ask(address, blocked)
            assert.ok(told === 403 || told === 429, String(told))
            if (told === 429) assert.ok(count(statuses, 401) >= 11, 'it is no guess itself')
            statuses.push(await door.ask(address, guess()))
          }
          assertThrottled(statuses, since)
        }
      })

    it('of access tokens with a fitting checksum are looked up, and told no more than others', async () => {
      for (const door of tokenDoors) {
        const address = elsewhere()
        const right = await door.right()
        const ask = () => door.ask(address, createAccessToken())
        const since = performance.now()
        const statuses = await Promise.all(Array.from({ length: 100 }, ask))
        assertThrottled(statuses, since)
        assert.equal(await door.ask(address, right), 200)
      }
    })

    it('of chosen access tokens wait with the guesser, whether they are right or not', async () => {
      const [, , relays = assert.fail()] = tokenDoors
      const address = elsewhere()
      const chosen = await planes.createChosen('a chosen one')
      assert.equal(await relays.ask(address, chosen), 200)
      await guessAt(relays, address, 11)
      assert.equal(await relays.ask(address, chosen), 429)
      assert.equal(await relays.ask(elsewhere(), chosen), 200)
      await waitUntil(async () => (await relays.ask(address, chosen)) === 200, 'the door is open again')
    })

    it('cost no neighbour anything who all come at once with chosen access tokens', async () => {
      const [models = assert.fail()] = tokenDoors
      const address = elsewhere()
      const all = await Promise.all(
        Array.from({ length: 60 }, (_, index) => planes.createChosen(`chosen-${index}`)),
      )
      const statuses = await Promise.all(all.map((chosen) => models.ask(address, chosen)))
      assert.deepEqual(new Set(statuses), new Set([200]))
    })

    it('whose bodies are held back are counted from their headers on', async () => {
      const address = elsewhere()
      const body = JSON.stringify(chat)
      const answers: string[] = []
      const since = performance.now()
      const sockets = Array.from({ length: 300 }, () => {
        const socket = connect(planes.port, '127.0.0.1')
        socket.on('error', () => {})
        socket.once('data', (data) => answers.push(data.toString('latin1').slice(9, 12)))
        socket.write(
          `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${guess()}\r\n` +
            `x-forwarded-for: ${address}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, -1)}`,
        )
        return socket
      })
      try {
        await waitUntil(() => answers.length >= 289, 'all but the first were told to wait', 15_000)
        for (const socket of sockets) socket.write(body.slice(-1))
        await waitUntil(() => answers.length === 300, 'all were answered')
        assertThrottled(answers.map(Number), since)
      } finally {
        for (const socket of sockets) socket.destroy()
      }
    })

    it('keep a chosen ADMIN_KEY out only where very many of it were tried', async () => {
      const address = elsewhere()
      const [admin = assert.fail()] = keyDoors
      await guessAt(admin, address, 60)
      assert.equal(await admin.ask(address, planesAdminKey), 200)
      const made = await admin.right()
      await guessAt(admin, address, 250)
      assert.equal(await admin.ask(address, planesAdminKey), 429)
      assert.equal(await admin.ask(address, made), 200, 'which no guess finds')
      assert.equal(await admin.ask(elsewhere(), planesAdminKey), 200)
    })

    it('wait by a clock that cannot be set', async () => {
      const [, , relays = assert.fail()] = tokenDoors
      const address = elsewhere()
      await guessAt(relays, address, 11)
      for (const hours of [-1, 1, 24]) {
        planes.wall.now += hours * 3_600_000
        const answer = await planes.from(address, { method: 'GET', path: '/v1/usage', accessToken: guess() })
        assert.deepEqual([answer.status, answer.headers['retry-after']], [429, '1'])
      }
      planes.wall.now -= 3_600_000
      await waitUntil(async () => (await relays.ask(address, guess())) === 401, 'a second later it is open')
    })

    it('count for an address however it is spelt, for an IPv6 /64, and for the /48 around it', async () => {
      const [models = assert.fail()] = tokenDoors
      const address = elsewhere()
      const last = Number(address.split('.').at(-1))
      const hex = `::ffff:cb00:71${last.toString(16).padStart(2, '0')}`
      const spelt = [address, `::FFFF:${address}`, hex, `0:0:0:0:0:ffff:${hex.slice(7)}`, `[${hex}]:443`]
      for (let time = 0; time < 11; time++) await models.ask(spelt[time % spelt.length] ?? '', guess())
      for (const each of spelt) assert.equal(await models.ask(each, guess()), 429, each)
      const since = performance.now()
      const inNet = (net: number) => `2001:DB8:${addresses}:${net.toString(16)}::1`
      const statuses: number[] = []
      for (let net = 0; net < 90; net++) statuses.push(await models.ask(inNet(net), guess()))
      assertThrottled(statuses, since, 50)
    })

    it('are plain 401s to an official client with a wrong key, however often it asks', async () => {
      const address = elsewhere()
      const options = { baseURL: `${planes.origin}/v1`, defaultHeaders: { 'x-forwarded-for': address } }
      const stale = new OpenAI({ ...options, apiKey: createAccessToken() })
      for (let time = 0; time < 100; time++)
        await assert.rejects(stale.models.list().asResponse(), OpenAI.AuthenticationError)
      for (let time = 0; time < 10; time++) await statusOf(address, '/v1/models', guess())
      const guessing = new OpenAI({ ...options, apiKey: guess(), maxRetries: 0 })
      await assert.rejects(guessing.models.list().asResponse(), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError)
        assert.equal(error.headers?.get('retry-after'), '1')
        return true
      })
    })

    it('leave no credential in the log', () => {
      assert.ok(planes.log().includes('"status":429'))
      for (const secret of ['guess-', 'stale-', 'sk-tg-', planesAdminKey])
        assert.ok(!planes.log().includes(secret))
    })
  })
