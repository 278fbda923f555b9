import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { providers } from '#providers/all.ts'
import { openUpstreams, type UpstreamNews } from './open.ts'

it('an upstream that is watched rests when it has gone, without any request of a user', async () => {
  let asked = 0
  const news: UpstreamNews[] = []
  const server = createServer((_request, response) => {
    asked += 1
    response.end('{"data":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const baseUrl = `http://127.0.0.1:${port}/v1`
  const config = { name: 'a', provider: providers.at(-1)?.name ?? '', baseUrl, models: ['*'] }
  const upstreams = openUpstreams(
    [
      { ...config, healthEveryMs: 5 },
      { ...config, name: 'b' },
    ],
    {
      providers,
      clock: Date.now,
      onNews: (one) => news.push(one),
    },
  )
  const [watched, other] = upstreams.speaking(config.provider)
  const until = async (isSo: () => boolean | undefined) => {
    for (let left = 4000; !isSo(); left -= 1) {
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
  const [note = ''] = upstreams.notes()
  assert.match(note, /^1 of 2 upstreams of \S+ rest: /)
  // Asked again after its rest, and once more: that is no news.
  await until(() => (watched?.health.restsUntil() ?? 0) - Date.now() > 1500)
  assert.deepEqual(
    news.map(({ kind, upstream }) => [kind, upstream]),
    [['rests', 'a']],
  )
  assert.match(news[0]?.kind === 'rests' ? (news[0].reason ?? '') : '', /^unreachable \(/)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await until(() => news.length > 1)
  const [, back] = news
  assert.deepEqual([back?.kind, back?.upstream, news.length], ['returned', 'a', 2])
  assert.ok(back?.kind === 'returned' && back.forMs >= 1000)
  assert.deepEqual(upstreams.notes(), [])
  server.closeAllConnections()
  server.close()
  await upstreams.close()
})
