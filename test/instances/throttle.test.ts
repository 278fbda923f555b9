import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Cluster, openCluster } from '../support/cluster.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/** Whoever guesses is one guesser, whichever instance the balancer sends the guesses to. */
let cluster: Cluster
before(async () => {
  cluster = await openCluster({ instances: 2, env: { TRUSTED_PROXIES: '127.0.0.1' } })
})
after(() => cluster.close())

const planes = [
  { name: 'the gateway', path: '/v1/models' },
  { name: 'the admin API', path: '/admin/users' },
  { name: 'the verifier', path: '/auth/check', method: 'POST' },
] as const
type Plane = (typeof planes)[number]

let guesses = 0
function guess(at: number, plane: Plane, address: string, credential = `guess-${guesses++}`) {
  const port = cluster.instances[at]?.port ?? assert.fail()
  const { path } = plane
  return call(port, {
    method: 'GET',
    ...plane,
    path,
    accessToken: credential,
    headers: { 'x-forwarded-for': address },
  })
}

for (const [index, plane] of planes.entries())
  describe(`wrong credentials at ${plane.name}, over two instances`, () => {
    it('are counted together, and shut the door of both', async () => {
      const address = `198.51.100.${index + 1}`
      for (let time = 0; time < 11; time++) assert.equal((await guess(time % 2, plane, address)).status, 401)
      // The last of them is on its way to the other.
      for (const at of [0, 1]) {
        await waitUntil(async () => (await guess(at, plane, address)).status === 429, 'the door is shut')
        const { headers } = await guess(at, plane, address)
        assert.ok(Number(headers['retry-after']) >= 1)
      }
      assert.equal((await guess(1, plane, '203.0.113.1')).status, 401, 'nobody else')
    })

    it('count once for both, however often one of them is repeated at either', async () => {
      const address = `198.51.100.${index + 101}`
      for (let time = 0; time < 40; time++)
        assert.equal((await guess(time % 2, plane, address, 'stale')).status, 401)
      for (let time = 0; time < 10; time++) assert.equal((await guess(0, plane, address)).status, 401)
      await waitUntil(async () => (await guess(0, plane, address)).status === 429, 'the door is shut')
    })
  })

describe('an instance that hears of nobody', () => {
  it('counts alone, and with the others when it hears again', async () => {
    const [plane] = planes
    const listeners =
      "select pid from pg_stat_activity where datname = current_database() and application_name = 'tollgate listener'"
    const pids = (await cluster.database.rows(listeners)).map(({ pid }) => Number(pid))
    assert.equal(pids.length, 2)
    await cluster.database.rows(`select pg_terminate_backend(pid) from unnest(array[${pids.join()}]) as pid`)
    await waitUntil(async () => {
      const now = (await cluster.database.rows(listeners)).map(({ pid }) => Number(pid))
      return now.length === 2 && now.every((pid) => !pids.includes(pid))
    }, 'both listen again')
    for (let time = 0; time < 11; time++) await guess(0, plane, '198.51.100.77')
    await waitUntil(
      async () => (await guess(1, plane, '198.51.100.77')).status === 429,
      'the other one knows',
    )
  })
})
