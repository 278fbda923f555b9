import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { providers } from '#providers/all.ts'
import { openUpstreams } from './open.ts'

it('an upstream that is watched rests when it has gone, without any request of a user', async () => {
  let asked = 0
  const server = createServer((_request, response) => {
    asked += 1
    response.end('{"data":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const config = { name: 'a', provider: providers.at(-1)?.name ?? '', baseUrl, models: ['*'] }
  const upstreams = openUpstreams(
    [
      { ...config, healthEveryMs: 5 },
      { ...config, name: 'b' },
    ],
    {
      providers,
      clock: Date.now,
    },
  )
  const [watched, other] = upstreams.speaking(config.provider)
  const until = async (isSo: () => boolean | undefined) => {
    for (let left = 1000; !isSo(); left -= 1) {
      assert.ok(left > 0, 'in time')
      await setTimeout(5)
    }
  }
  await until(() => asked > 3)
  assert.equal(watched?.health.isResting(), false)
  server.closeAllConnections()
  server.close()
  await until(() => watched?.health.isResting())
  assert.equal(other?.health.isResting(), false)
  await upstreams.close()
})
