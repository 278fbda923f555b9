import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { allows, scopes } from '#core/scopes.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { verifierRoutes } from '#verifier/routes.ts'
import { by } from '../support/by.ts'
import { databases } from '../support/stores.ts'
import { openVerifierHarness, type VerifierHarness } from '../support/verifier-harness.ts'

/** What a key with few scopes may do at the endpoints for other gateways, by every route of the list. */
for (const kind of databases) {
  describe(`scopes at the verifier in ${kind.name}`, () => {
    let harness: VerifierHarness
    before(async () => {
      harness = await openVerifierHarness(kind)
    })
    after(() => harness.close())

    const make = async (key: Parameters<typeof createAdminKey>[1]) =>
      (await createAdminKey(harness.store.adminKeys, key, by(harness.clock.now))).secret
    const from = (address: string) => ({ 'x-forwarded-for': address })

    it('opens each route to those that meet its need, and to no other', async () => {
      for (const scope of scopes) {
        const secret = await make({ name: scope, scopes: [scope] })
        for (const { template, need } of verifierRoutes) {
          const { status, text } = await harness.send(template.replace('{id}', 'res_none'), {
            method: 'POST',
            headers: { 'x-tollgate-key': secret, 'content-type': 'application/json', ...from('192.0.2.1') },
            body: '{',
          })
          const isRefused = text.includes('"forbidden"')
          // An administrator's key in the configuration of a proxy is a mistake, which shows at once.
          const isOpen = scope !== 'admin' && allows([scope], need)
          assert.equal(isRefused, !isOpen, `${template} as ${scope}: ${status} ${text}`)
        }
      }
    })

    it("compares a key's networks with the gateway's address, not with that of its client", async () => {
      const near = await make({ name: 'near', scopes: ['verifier'], allowedNetworks: ['127.0.0.0/8'] })
      const far = await make({ name: 'far', scopes: ['verifier'], allowedNetworks: ['198.51.100.0/24'] })
      const { accessToken } = await harness.createUser()
      const verify = (key: string, address: string) =>
        harness.send('/auth/verify', {
          headers: { 'x-tollgate-key': key, authorization: `Bearer ${accessToken}`, ...from(address) },
        })
      assert.equal((await verify(near, '198.51.100.1')).status, 200)
      const refused = await verify(far, '198.51.100.1')
      assert.deepEqual([refused.status, refused.headers.get('x-tollgate-code')], [403, 'address_not_allowed'])
      // Here the caller is the gateway itself, perhaps behind a proxy of its own.
      const check = (key: string, address: string) =>
        harness.post(
          '/auth/check',
          { token: accessToken },
          { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...from(address) },
        )
      assert.equal((await check(far, '198.51.100.1')).status, 200)
      assert.deepEqual((await check(far, '198.51.101.1')).json.code, 'address_not_allowed')
      assert.deepEqual((await check(near, '198.51.100.1')).json.code, 'address_not_allowed')
    })
  })
}
