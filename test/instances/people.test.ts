import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bodyOf, requestKinds, unitsNeeded } from '../support/burst.ts'
import { type Cluster, openCluster } from '../support/cluster.ts'
import { openEndlessStream, streamProtocols } from '../support/endless-stream.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'

/** People behind one access token, over several instances: one user of each, exact quotas, and no hold that stays. */
const kind = requestKinds[0] ?? assert.fail()
const protocol = streamProtocols[0] ?? assert.fail()
const headers = (person: string) => ({ 'x-person': person })
const settings = { kind: 'header', header: 'x-person', networks: ['127.0.0.0/8'] }

async function withCluster(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await openCluster({
    instances: 2,
    config: 'inputEstimate: bound',
    upstream: { behaviour: { chunkMs: 4 } },
  })
  try {
    await run(cluster)
  } finally {
    await cluster.close()
  }
}

async function newFrontEnd({ admin, instances: [first] }: Cluster, user: object, more: object = {}) {
  assert.ok(first)
  const { token, id } = await admin(first, 'POST', '/admin/users', user)
  await admin(first, 'PUT', `/admin/users/${String(id)}/front-end`, { ...settings, ...more })
  return { id: String(id), accessToken: String(token) }
}

const portAt = ({ instances }: Cluster, index: number) =>
  instances[index % instances.length]?.port ?? assert.fail('there is one')

async function quotasOf({ database }: Cluster, ids: readonly unknown[]) {
  return database.rows(
    `select user_id, used, reserved, open_requests from quotas where family = '${kind.family}'
      and user_id in (${ids.map((id) => `'${String(id)}'`).join()})`,
  )
}

describe('people behind one access token, over two instances', { timeout: 120_000 }, () => {
  for (const [whose, fitsPerson, fitsFrontEnd] of [
    ['a person', 9, undefined],
    ['the front end', undefined, 11],
  ] as const)
    it(`admits exactly what fits into the quota of ${whose}, 64 at once`, () =>
      withCluster(async (cluster) => {
        const [first] = cluster.instances
        assert.ok(first)
        const { token } = await cluster.admin(first, 'POST', '/admin/users', { tokenLimits: { gpt4: 0 } })
        const one = await unitsNeeded(first.port, String(token), kind)
        const limits = (fits: number | undefined) =>
          fits === undefined ? {} : { tokenLimits: { gpt4: one * fits + (one >> 1) } }
        const front = await newFrontEnd(cluster, limits(fitsFrontEnd), { template: limits(fitsPerson) })
        const fitting = fitsPerson ?? fitsFrontEnd
        const letGo = cluster.upstream.hold()
        const statuses: number[] = []
        const sent = Array.from({ length: 64 }, async (_, index) => {
          const { status } = await call(portAt(cluster, index), {
            path: kind.path,
            accessToken: front.accessToken,
            headers: headers(fitsPerson === undefined ? `p${index % 7}` : 'ann'),
            body: bodyOf(kind),
          })
          statuses.push(status)
        })
        const refusals = () => statuses.filter((status) => status === 429).length
        const decided = waitUntil(() => refusals() >= 64 - fitting, 'all others are refused', 30_000)
        await decided.finally(letGo)
        await Promise.all(sent)
        assert.equal(statuses.filter((status) => status === 200).length, fitting)
        const people = await cluster.database.rows(`select * from people where front_end_id = '${front.id}'`)
        assert.equal(people.length, fitsPerson === undefined ? 7 : 1, 'each is one user')
        const all = [front.id, ...people.map(({ user_id }) => user_id)]
        await waitUntil(
          async () => (await quotasOf(cluster, all)).every(({ open_requests }) => open_requests === 0),
          'all are settled',
        )
        await assertInvariants(cluster.database)
        const quotas = await quotasOf(cluster, all)
        const used = (those: typeof quotas) => those.reduce((sum, quota) => sum + Number(quota.used), 0)
        assert.equal(
          used(quotas.filter(({ user_id }) => user_id === front.id)),
          used(quotas.filter(({ user_id }) => user_id !== front.id)),
        )
        assert.ok(used(quotas) > 0)
      }))

  it('frees what a killed instance held of both, and charges both alike', () =>
    withCluster(async (cluster) => {
      const [dying, living] = cluster.instances
      assert.ok(dying && living)
      const front = await newFrontEnd(cluster, { tokenLimits: { gpt4: 1e6 } })
      const stream = openEndlessStream(dying.port, protocol, front.accessToken, undefined, headers('ann'))
      await stream.runs()
      const [person] = await cluster.database.rows(
        `select user_id from people where front_end_id = '${front.id}'`,
      )
      const ids = [front.id, person?.user_id]
      const held = await quotasOf(cluster, ids)
      assert.equal(held.length, 2)
      for (const { reserved, open_requests } of held) {
        assert.ok(Number(reserved) > 0)
        assert.equal(open_requests, 1)
      }
      dying.program.process.kill('SIGKILL')
      await dying.program.exit
      await waitUntil(
        async () => (await quotasOf(cluster, ids)).every(({ open_requests }) => open_requests === 0),
        'what it left open is closed',
        40_000,
      )
      const freed = await quotasOf(cluster, ids)
      assert.deepEqual(new Set(freed.map(({ reserved }) => reserved)), new Set([0]))
      assert.equal(new Set(freed.map(({ used }) => used)).size, 1)
      assert.ok(Number(freed[0]?.used) > 0)
      await assertInvariants(cluster.database)
    }))

  for (const whose of ['the person', 'the front end'])
    it(`cuts a stream on the other instance when ${whose} is disabled`, () =>
      withCluster(async (cluster) => {
        const [one, other] = cluster.instances
        assert.ok(one && other)
        const front = await newFrontEnd(cluster, {})
        const stream = openEndlessStream(one.port, protocol, front.accessToken, undefined, headers('ann'))
        await stream.runs()
        const [person] = await cluster.database.rows(
          `select user_id from people where front_end_id = '${front.id}'`,
        )
        const id = whose === 'the person' ? person?.user_id : front.id
        await cluster.admin(other, 'DELETE', `/admin/users/${String(id)}`)
        await waitUntil(() => stream.hasEnded(), 'it was cut')
        assert.match(stream.text(), /user_disabled/)
        for (const { port } of [one, other]) {
          const ask = { path: kind.path, accessToken: front.accessToken, headers: headers('ann') }
          assert.equal((await call(port, { ...ask, body: bodyOf(kind) })).status, 403)
        }
        await assertInvariants(cluster.database)
      }))
})
