import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import {
  openEndlessStream,
  type StreamProtocol,
  streamBodyOf,
  streamProtocols,
} from './support/endless-stream.ts'
import { makeFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { type Program, startProgram } from './support/process.ts'

/**
 * No means no, now: whatever ends a user's right counts for the very next request, and ends the streams that run
 * within a second, each with an error event in its protocol. Through the program as it is run, in both protocols.
 */
const adminKey = 'a-test-admin-key-1'

const folder = makeFolder()
let upstream: SimulatedUpstream
let program: Program
let port: number

before(async () => {
  upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 25 } })
  program = startProgram([], {
    DATA_DIR: folder.path,
    PORT: '0',
    ADMIN_KEY: adminKey,
    LOG_LEVEL: 'error',
    TRUSTED_PROXIES: '127.0.0.1',
    OPENAI_BASE_URL: `${upstream.url}/v1`,
    ANTHROPIC_BASE_URL: upstream.url,
  })
  port = Number(new URL(await program.listening).port)
})
after(async () => {
  program.process.kill('SIGTERM')
  await program.exit
  await upstream.close()
  folder.remove()
})

async function admin(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${adminKey}` }
  const answer = await call(port, { method, path, headers, ...(body !== undefined && { body }) })
  assert.equal(answer.status, 200, answer.text)
  return JSON.parse(answer.text)
}

interface User {
  readonly accessToken: string
  readonly path: string
}

async function newUser(body: Readonly<Record<string, unknown>> = {}): Promise<User> {
  const { token: accessToken, id } = await admin('POST', '/admin/users', body)
  return { accessToken: String(accessToken), path: `/admin/users/${String(id)}` }
}

const openStream = (protocol: StreamProtocol, { accessToken }: User, address?: string) =>
  openEndlessStream(port, protocol, accessToken, address)

async function statusNow(protocol: StreamProtocol, { accessToken }: User, address = '192.0.2.1') {
  const { path } = protocol
  const headers = { 'x-forwarded-for': address }
  const answer = await call(port, {
    path,
    accessToken,
    headers,
    body: { ...streamBodyOf(protocol, 2), stream: false },
  })
  return answer.status
}

for (const protocol of streamProtocols) {
  describe(`no means no, now, on ${protocol.path}`, () => {
    it('disabling cuts what runs and refuses what comes', async () => {
      const user = await newUser()
      const streams = [openStream(protocol, user), openStream(protocol, user)]
      const other = openStream(protocol, await newUser())
      await Promise.all([...streams, other].map((stream) => stream.runs()))
      const since = performance.now()
      await admin('DELETE', `${user.path}?disabledReason=${encodeURIComponent('left the team')}`)
      assert.equal(await statusNow(protocol, user), 403)
      for (const stream of streams) {
        assert.equal(await stream.cutWithin(since), 'This access token was disabled: left the team')
      }
      assert.equal(other.hasEnded(), false, "nobody else's stream ends")
      other.close()
    })

    it('a disabling that is set for later cuts when it comes', async () => {
      const user = await newUser()
      const stream = openStream(protocol, user)
      await stream.runs()
      await admin('PUT', user.path, { disabledAt: Date.now() + 600, disabledReason: 'as agreed' })
      const since = performance.now() + 600
      assert.equal(await statusNow(protocol, user), 200)
      assert.match(await stream.cutWithin(since), /disabled: as agreed/)
      const early = since - performance.now()
      assert.ok(early < 0, `${early} ms early`)
      assert.equal(await statusNow(protocol, user), 403)
    })

    it('an expiry cuts when it comes, and not when it was put off', async () => {
      const expiresAt = Date.now() + 1500
      const [early, late] = [
        await newUser({ type: 'temporary', expiresAt }),
        await newUser({ type: 'temporary', expiresAt }),
      ]
      const since = performance.now() + 1500
      const [cut, kept] = [openStream(protocol, early), openStream(protocol, late)]
      await Promise.all([cut.runs(), kept.runs()])
      await admin('PUT', late.path, { expiresAt: expiresAt + 60_000 })
      assert.match(await cut.cutWithin(since), /expired/)
      assert.equal(await statusNow(protocol, early), 403)
      // Nothing happens to the other one, whose expiry was put off.
      await wait(400)
      assert.equal(kept.hasEnded(), false)
      await admin('PUT', late.path, { expiresAt: Date.now() - 1 })
      await kept.cutWithin(performance.now())
    })

    it('a rotation cuts what the replaced access token runs, at once or at its end, and nothing else', async () => {
      const rotate = async ({ path }: User, body: object = {}): Promise<User> => {
        const { token: accessToken } = await admin('POST', `${path}/rotate`, body)
        return { path, accessToken: String(accessToken) }
      }
      const [first, other] = [await newUser(), openStream(protocol, await newUser())]
      const old = openStream(protocol, first)
      await Promise.all([old, other].map((stream) => stream.runs()))
      const previousUntil = Date.now() + 1500
      const since = performance.now() + 1500
      const second = await rotate(first, { previousUntil })
      const [again, present] = [openStream(protocol, first), openStream(protocol, second)]
      await Promise.all([again, present].map((stream) => stream.runs()))
      assert.equal(old.hasEnded(), false, 'both work in the grace')
      for (const stream of [old, again]) assert.match(await stream.cutWithin(since), /was replaced/)
      assert.ok(since - performance.now() < 0, 'not before its end')
      assert.deepEqual([await statusNow(protocol, first), await statusNow(protocol, second)], [401, 200])
      assert.equal(present.hasEnded(), false)
      const now = performance.now()
      const third = await rotate(second)
      assert.deepEqual([await statusNow(protocol, second), await statusNow(protocol, third)], [401, 200])
      assert.match(await present.cutWithin(now), /was replaced/)
      assert.equal(other.hasEnded(), false, 'no stream of another user ends')
      const last = openStream(protocol, third)
      await last.runs()
      await rotate(third, { previousUntil: Date.now() + 60_000 })
      const atOnce = performance.now()
      await rotate(third, { previousUntil: Date.now() + 60_000 })
      assert.match(await last.cutWithin(atOnce), /was replaced/, 'a second old token ends at once')
      other.close()
    })

    it('an address too many disables and cuts, where that was chosen', async () => {
      const user = await newUser({ maxIps: 1, ipLimitAction: 'disable' })
      const stream = openStream(protocol, user)
      await stream.runs()
      const since = performance.now()
      assert.equal(await statusNow(protocol, user, '192.0.2.99'), 403)
      assert.match(await stream.cutWithin(since), /IP address limit exceeded/)
      assert.equal((await admin('GET', user.path)).disabledReason, 'IP address limit exceeded')
      assert.equal(await statusNow(protocol, user), 403)
    })

    it('a limit that is lowered, and addresses that are changed, count for the next request', async () => {
      const user = await newUser()
      assert.equal(await statusNow(protocol, user), 200)
      await admin('PUT', user.path, { tokenLimits: { gpt4: 1, claude: 1 } })
      assert.equal(await statusNow(protocol, user), 429)
      await admin('PUT', user.path, {
        tokenLimits: { gpt4: -1, claude: -1 },
        ip: ['198.51.100.1'],
        maxIps: 1,
      })
      assert.equal(await statusNow(protocol, user), 403)
      assert.equal(await statusNow(protocol, user, '198.51.100.1'), 200)
      await admin('PUT', user.path, { allowedNetworks: ['203.0.113.0/24'] })
      assert.equal(await statusNow(protocol, user, '198.51.100.1'), 403)
    })
  })
}
