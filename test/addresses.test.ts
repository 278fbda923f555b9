import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { by } from './support/by.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { openPlanes, type Planes, planesAdminKey } from './support/planes.ts'
import { databases } from './support/stores.ts'

/** One address however it is spelt, wherever a running server takes one, counts one, or tells one. */
let planes: Planes

const spellings = [
  [
    '2001:db8::3',
    '2001:DB8::3',
    '2001:db8:0:0:0:0:0:3',
    '2001:0DB8::0003',
    '[2001:DB8::3]:443',
    '"[2001:db8::3]"',
  ],
  ['203.0.113.5', '::ffff:203.0.113.5', '::FFFF:cb00:7105', '0:0:0:0:0:ffff:cb00:7105', '203.0.113.5:4711'],
] as const
/** Those of them that stand for themselves, without a port or quotes. */
const bare = (list: readonly string[]) => list.filter((text) => !/["[]|^\d+\.[\d.]+:/.test(text))

async function admin(method: string, path: string, body?: object) {
  const asked = { method, path, accessToken: planesAdminKey, ...(body && { body }) }
  const answer = await planes.from('198.51.100.1', asked)
  return { status: answer.status, json: answer.text === '' ? undefined : JSON.parse(answer.text) }
}

const come = (address: string, accessToken: string) =>
  planes.from(address, { method: 'GET', path: '/v1/usage', accessToken })

for (const database of databases)
  describe(`addresses on ${database.name}`, () => {
    before(async () => {
      planes = await openPlanes(database)
    })
    after(() => planes.close())

    for (const [address, ...others] of spellings) {
      it(`${address} is one for maxIps, in what is told and in the log`, async () => {
        const accessToken = await planes.createUser({ limits: { maxIps: 1 } })
        for (const spelt of [...others, address])
          assert.equal((await come(spelt, accessToken)).status, 200, spelt)
        assert.equal((await come('192.0.2.77', accessToken)).status, 403)
        const { json } = await admin('GET', `/admin/users/${accessToken}`)
        assert.deepEqual(json.ip, [address])
        await waitUntil(() => planes.log().includes(`"address":"${address}"`), 'it is in the log')
        for (const spelt of others) assert.ok(!planes.log().includes(`"address":"${spelt}"`), spelt)
      })

      it(`${address} is one in what an administrator writes`, async () => {
        const ip = bare([...others, address, ...others])
        const made = await admin('POST', '/admin/users', { ip })
        const { ip: told, token } = made.json
        const asTold = told ?? (await admin('GET', `/admin/users/${token ?? made.json.id}`)).json.ip
        assert.deepEqual(asTold, [address])
        const path = '/admin/users/with-addresses'
        assert.deepEqual((await admin('PUT', path, { ip: [...ip, 'a-digest'] })).json.ip, [
          address,
          'a-digest',
        ])
        const users = [{ token: 'with-addresses', ip }]
        assert.equal((await admin('PUT', '/admin/users', { users })).status, 200)
        assert.deepEqual((await admin('GET', path)).json.ip, [address])
        await planes.store.users.writeUsers(
          [{ ref: { accessToken: 'with-addresses' }, edit: { limits: { maxIps: 1 } } }],
          by(planes.wall.now),
        )
        for (const spelt of others) assert.equal((await come(spelt, 'with-addresses')).status, 200)
        assert.deepEqual((await admin('GET', path)).json.ip, [address])
      })

      it(`${address} is in a network however that is spelt`, async () => {
        const networks = address.includes(':')
          ? ['2001:DB8:0:0::/64', '2001:0db8::3', '2001:DB8::/32']
          : ['::ffff:203.0.113.0/120', '::FFFF:cb00:7105', '::ffff:cb00:0/112', '203.0.113.77/24']
        for (const network of networks) {
          const path = '/admin/users/in-a-network'
          const written = await admin('PUT', path, { allowedNetworks: [network] })
          assert.equal(written.status, 200)
          for (const told of written.json.allowedNetworks) assert.doesNotMatch(told, /[A-Z]|ffff|:0:0/)
          for (const spelt of [address, ...others])
            assert.equal((await come(spelt, 'in-a-network')).status, 200, `${spelt} in ${network}`)
          assert.equal((await come('192.0.2.1', 'in-a-network')).status, 403)
          assert.equal((await come('2001:db9::1', 'in-a-network')).status, 403)
        }
      })

      it(`${address} is one where another gateway tells it`, async () => {
        const accessToken = await planes.createUser({ limits: { maxIps: 1 } })
        const { key } = (await admin('POST', '/admin/keys', { name: 'one', scopes: ['verifier'] })).json
        for (const spelt of bare([...others, address])) {
          const body = { token: accessToken, model: 'gpt-4o', inputUnits: 1, outputUnits: 1, address: spelt }
          const asked = { path: '/usage/reservations', accessToken: key, body }
          assert.equal((await planes.from('198.51.100.1', asked)).status, 201, spelt)
        }
        assert.deepEqual((await admin('GET', `/admin/users/${accessToken}`)).json.ip, [address])
      })
    }

    it('of trusted proxies are known in every spelling', async () => {
      const own = await openPlanes(database, { TRUSTED_PROXIES: '::ffff:7f00:0/104, 2001:DB8:FFFF:0::/64' })
      try {
        const accessToken = await own.createUser({ limits: { allowedNetworks: ['203.0.113.5'] } })
        const path = { method: 'GET', path: '/v1/usage', accessToken }
        assert.equal((await own.from('203.0.113.5, 2001:db8:ffff::9', path)).status, 200)
        assert.equal((await own.from('203.0.113.5, 2001:db8:fffe::9', path)).status, 403)
      } finally {
        await own.close()
      }
    })
  })
