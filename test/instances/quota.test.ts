import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unitsOf } from '#core/usage.ts'
import { bodyOf, type RequestKind, requestKinds, unitsNeeded } from '../support/burst.ts'
import { type Cluster, clusterAdminKey, openCluster } from '../support/cluster.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'

/**
 * A quota is a quota on any number of instances: 500 requests at once, spread over all of them, where 25 fit. And so
 * is every other limit, and a key that makes a repeated request one. INSTANCE_RUNS says how many times.
 */
const runs = Number(process.env.INSTANCE_RUNS ?? 20)
const [requests, fitting] = [500, 25]

async function withCluster(instances: number, run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await openCluster({
    instances,
    // The bound: no estimate may be wrong to the quota's cost.
    config: 'inputEstimate: bound',
    upstream: { behaviour: { chunkMs: 1 } },
  })
  try {
    await run(cluster)
  } finally {
    await cluster.close()
  }
}

async function newUser({ admin, instances }: Cluster, body: Readonly<Record<string, unknown>> = {}) {
  const [first] = instances
  assert.ok(first)
  const { token, id } = await admin(first, 'POST', '/admin/users', body)
  return { accessToken: String(token), id: String(id) }
}

const portAt = ({ instances }: Cluster, index: number) =>
  instances[index % instances.length]?.port ?? assert.fail('there is one')

/** Sends them to all instances in turn, nothing of them being answered by the upstream before all have been decided. */
async function burst(
  cluster: Cluster,
  ask: {
    readonly count: number
    readonly admitted: number
    readonly accessToken: string
    readonly kind: RequestKind
  },
  headersOf: (index: number) => Record<string, string> = () => ({}),
): Promise<readonly number[]> {
  const { kind, accessToken, count, admitted } = ask
  const letGo = cluster.upstream.hold()
  const statuses: number[] = []
  // Whose turn it is first is another one each time.
  const first = Math.floor(Math.random() * cluster.instances.length)
  const sent = Array.from({ length: count }, async (_, index) => {
    const { path } = kind
    const headers = headersOf(index)
    const { status } = await call(portAt(cluster, index + first), {
      path,
      accessToken,
      headers,
      body: bodyOf(kind),
    })
    statuses.push(status)
  })
  const refusals = () => statuses.filter((status) => status !== 200).length
  const decided = waitUntil(
    () => refusals() + cluster.upstream.served().length >= count,
    `all were decided, not ${refusals()} refused and ${cluster.upstream.served().length} sent on`,
    30_000,
  )
  await decided.finally(letGo)
  await Promise.all(sent)
  assert.equal(statuses.filter((status) => status === 200).length, admitted, `${kind.path} ${kind.stream}`)
  return statuses
}

async function settled({ database }: Cluster, userId: string) {
  const entries = () => database.rows(`select * from entries where user_id = '${userId}'`)
  await waitUntil(
    async () => (await entries()).every(({ state }) => state !== 'open'),
    'every entry is closed',
    15_000,
  )
  return entries()
}

for (const count of [2, 4])
  describe(`${requests} requests at once over ${count} instances on a quota that fits ${fitting}`, () => {
    it(
      `admits exactly ${fitting} and books what was served, ${runs} times`,
      { timeout: 60_000 + runs * 30_000 },
      (test) =>
        withCluster(count, async (cluster) => {
          const { upstream, database } = cluster
          let booked = 0
          const admitters = new Set<unknown>()
          for (let run = 0; run < runs; run++) {
            const kind = requestKinds[run % requestKinds.length] ?? assert.fail()
            const { accessToken: pauper } = await newUser(cluster, { tokenLimits: { gpt4: 0, claude: 0 } })
            const needed = await unitsNeeded(portAt(cluster, run), pauper, kind)
            const limit = needed * fitting + Math.floor(needed / 2)
            const { id, accessToken } = await newUser(cluster, {
              tokenLimits: { gpt4: limit, claude: limit },
            })
            upstream.clearServed()
            const statuses = await burst(cluster, { count: requests, admitted: fitting, accessToken, kind })
            assert.equal(statuses.filter((status) => status === 429).length, requests - fitting)
            const entries = await settled(cluster, id)
            const served = upstream.served().map(({ usage }) => (usage ? unitsOf(usage) : 0))
            assert.equal(served.length, fitting)
            assert.deepEqual(entries.map(({ units }) => Number(units)).toSorted(), served.toSorted())
            assert.ok(entries.every(({ state, is_estimated }) => state === 'settled' && is_estimated === 0))
            for (const { instance } of entries) admitters.add(instance)
            const [quota] = await database.rows(
              `select used, reserved, open_requests from quotas where user_id = '${id}' and family = '${kind.family}'`,
            )
            const used = served.reduce((sum, units) => sum + units, 0)
            assert.deepEqual(quota, { used, reserved: 0, open_requests: 0 })
            booked += used
          }
          await assertInvariants(database)

          assert.ok(admitters.size > 1, 'it was not always the same instance that admitted')
          test.diagnostic(
            `${runs} times ${fitting} of ${requests} on ${count} instances; ${booked} units booked`,
          )
        }),
    )
  })

describe('every other limit over two instances', { timeout: 60_000 }, () => {
  const kind = requestKinds[0] ?? assert.fail()

  it('is exact: requests a minute, requests at once, addresses', () =>
    withCluster(2, async (cluster) => {
      const { upstream } = cluster
      // Several times: who was overtaken on its way must not take the rate for one that a wrong clock has left.
      for (let time = 0; time < 5; time++) {
        const rated = await newUser(cluster, { requestsPerMinute: 7 })
        upstream.clearServed()
        await burst(cluster, { count: 60, admitted: 7, accessToken: rated.accessToken, kind })
      }
      const few = await newUser(cluster, { concurrentRequests: 3 })
      upstream.clearServed()
      await burst(cluster, { count: 60, admitted: 3, accessToken: few.accessToken, kind })
      // What has ended makes room again, on either.
      for (const port of [portAt(cluster, 0), portAt(cluster, 1)]) {
        const { accessToken } = few
        assert.equal((await call(port, { path: kind.path, accessToken, body: bodyOf(kind) })).status, 200)
      }
      await assertInvariants(cluster.database)
    }))

  it('counts addresses together', async () => {
    const cluster = await openCluster({ instances: 2, env: { TRUSTED_PROXIES: '127.0.0.1' } })
    try {
      const { accessToken, id } = await newUser(cluster, { maxIps: 4 })
      const from = (index: number) => ({ 'x-forwarded-for': `192.0.2.${index}` })
      await burst(cluster, { count: 40, admitted: 4, accessToken, kind }, from)
      const rows = await cluster.database.rows(`select address from addresses where user_id = '${id}'`)
      assert.equal(rows.length, 4)
    } finally {
      await cluster.close()
    }
  })

  it('makes one user of one Idempotency-Key, whoever is asked', () =>
    withCluster(2, async (cluster) => {
      const headers = { authorization: `Bearer ${clusterAdminKey}`, 'idempotency-key': 'only-once' }
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          call(portAt(cluster, index), { path: '/admin/users', headers, body: { nickname: 'one' } }),
        ),
      )
      assert.deepEqual(
        answers.filter(({ status }) => status !== 200).map(({ text }) => text),
        [],
      )
      assert.equal(new Set(answers.map(({ text }) => String(JSON.parse(text).token))).size, 1)
      assert.deepEqual(await cluster.database.rows('select count(*) from users'), [{ count: 1 }])
    }))
})
