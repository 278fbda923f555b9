import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Cluster, type Instance, openCluster } from '../support/cluster.ts'
import {
  openEndlessStream,
  type StreamProtocol,
  streamBodyOf,
  streamProtocols,
} from '../support/endless-stream.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/** No means no, now, on every instance: what is said to one cuts what runs on another, and refuses what comes there. */
let cluster: Cluster
let [here, there]: readonly Instance[] = []

before(async () => {
  cluster = await openCluster({
    instances: 2,
    env: { TRUSTED_PROXIES: '127.0.0.1' },
    upstream: { behaviour: { chunkMs: 25 } },
  })
  ;[here, there] = cluster.instances
})
after(() => cluster.close())

const at = (instance: Instance | undefined) => instance ?? assert.fail('it was started')

async function newUser(body: Readonly<Record<string, unknown>> = {}) {
  const { token, id } = await cluster.admin(at(here), 'POST', '/admin/users', body)
  return { accessToken: String(token), path: `/admin/users/${String(id)}` }
}

async function statusAt(
  instance: Instance | undefined,
  protocol: StreamProtocol,
  accessToken: string,
  address = '192.0.2.1',
): Promise<number> {
  const { path } = protocol
  const headers = { 'x-forwarded-for': address }
  const body = { ...streamBodyOf(protocol, 2), stream: false }
  return (await call(at(instance).port, { path, accessToken, headers, body })).status
}

async function disableHere(path: string): Promise<void> {
  await cluster.admin(at(here), 'DELETE', `${path}?disabledReason=${encodeURIComponent('left the team')}`)
}

const listeners =
  "select pid from pg_stat_activity where datname = current_database() and application_name = 'tollgate listener'"

/** Breaks the connections on which instances hear of each other; answers when they are gone. */
async function deafen(): Promise<void> {
  const { database } = cluster
  const pids = (await database.rows(listeners)).map(({ pid }) => Number(pid))
  assert.equal(pids.length, 2, 'both listen')
  await database.rows(`select pg_terminate_backend(pid) from unnest(array[${pids.join()}]) as pid`)
}

for (const protocol of streamProtocols)
  describe(`no means no on every instance, now, on ${protocol.path}`, () => {
    it('disabling on one cuts what runs on the other and refuses what comes', async () => {
      const user = await newUser()
      const stream = openEndlessStream(at(there).port, protocol, user.accessToken)
      const other = openEndlessStream(at(there).port, protocol, (await newUser()).accessToken)
      await Promise.all([stream.runs(), other.runs()])
      const since = performance.now()
      await disableHere(user.path)
      assert.equal(await statusAt(there, protocol, user.accessToken), 403)
      assert.equal(await stream.cutWithin(since), 'This access token was disabled: left the team')
      assert.equal(other.hasEnded(), false, "nobody else's stream ends")
      other.close()
    })

    it('a rotation on one cuts what the replaced access token runs on the other', async () => {
      const user = await newUser()
      const streams = [0, 1].map(() => openEndlessStream(at(there).port, protocol, user.accessToken))
      await Promise.all(streams.map((stream) => stream.runs()))
      const rotate = (body: object) => cluster.admin(at(here), 'POST', `${user.path}/rotate`, body)
      const graceful = await rotate({ previousUntil: Date.now() + 60_000 })
      const old = openEndlessStream(at(there).port, protocol, user.accessToken)
      const present = openEndlessStream(at(there).port, protocol, String(graceful.token))
      await Promise.all([old, present].map((stream) => stream.runs()))
      assert.ok(
        streams.every((stream) => !stream.hasEnded()),
        'both work in the grace',
      )
      const since = performance.now()
      const last = await rotate({})
      for (const accessToken of [user.accessToken, String(graceful.token)])
        assert.equal(await statusAt(there, protocol, accessToken), 401)
      assert.equal(await statusAt(there, protocol, String(last.token)), 200)
      for (const stream of [...streams, old, present])
        assert.match(await stream.cutWithin(since), /was replaced/)
    })

    it('disabling many at once does so as well', async () => {
      const users = await Promise.all(Array.from({ length: 8 }, () => newUser()))
      const streams = users.map(({ accessToken }) => openEndlessStream(at(there).port, protocol, accessToken))
      await Promise.all(streams.map((stream) => stream.runs()))
      const others = Array.from({ length: 300 }, (_, index) => ({ token: `other-${index}` }))
      const since = performance.now()
      const disabled = users.map(({ accessToken }) => ({ token: accessToken, disabledAt: Date.now() }))
      await cluster.admin(at(here), 'PUT', '/admin/users', { users: [...others, ...disabled] })
      const done = performance.now()
      // So many edits take their time; what counts is when they were made.
      for (const stream of streams) assert.match(await stream.cutWithin(done), /disabled/)
      assert.ok(done - since < 5000)
    })

    it('a time that was set on one comes on the other', async () => {
      const user = await newUser()
      const stream = openEndlessStream(at(there).port, protocol, user.accessToken)
      await stream.runs()
      await cluster.admin(at(here), 'PUT', user.path, { expiresAt: Date.now() + 600 })
      const since = performance.now() + 600
      assert.equal(await statusAt(there, protocol, user.accessToken), 200)
      assert.match(await stream.cutWithin(since), /expired/)
      assert.equal(await statusAt(there, protocol, user.accessToken), 403)
    })

    it('an address too many on one disables and cuts on the other', async () => {
      const user = await newUser({ maxIps: 1, ipLimitAction: 'disable' })
      const stream = openEndlessStream(at(there).port, protocol, user.accessToken)
      await stream.runs()
      const since = performance.now()
      assert.equal(await statusAt(here, protocol, user.accessToken, '192.0.2.99'), 403)
      assert.match(await stream.cutWithin(since), /IP address limit exceeded/)
      assert.equal(await statusAt(there, protocol, user.accessToken), 403)
    })

    it('a limit that is lowered, and addresses that are changed, count for the next request', async () => {
      const { accessToken, path } = await newUser()
      assert.equal(await statusAt(there, protocol, accessToken), 200)
      await cluster.admin(at(here), 'PUT', path, { tokenLimits: { gpt4: 1, claude: 1 } })
      assert.equal(await statusAt(there, protocol, accessToken), 429)
      const ip = ['198.51.100.1']
      await cluster.admin(at(here), 'PUT', path, { tokenLimits: { gpt4: -1, claude: -1 }, ip, maxIps: 1 })
      assert.equal(await statusAt(there, protocol, accessToken), 403)
      assert.equal(await statusAt(there, protocol, accessToken, '198.51.100.1'), 200)
    })

    it('an instance that hears nothing finds out nevertheless', async () => {
      const user = await newUser()
      const stream = openEndlessStream(at(there).port, protocol, user.accessToken)
      await stream.runs()
      await deafen()
      const since = performance.now()
      await disableHere(user.path)
      assert.equal(await statusAt(there, protocol, user.accessToken), 403)
      assert.match(await stream.cutWithin(since), /left the team/)
      await waitUntil(async () => (await cluster.database.rows(listeners)).length === 2, 'both listen again')
    })
  })
