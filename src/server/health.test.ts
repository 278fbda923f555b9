import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createClientAddress } from '#http/client-address.ts'
import { createLog } from '#http/log.ts'
import { createHealth } from './health.ts'

describe('the health routes', () => {
  const lines: string[] = []
  const parts: Record<string, string> = { heartbeat: 'ok', admissions: 'ok' }
  const health = createHealth(
    {
      clock: Date.now,
      log: createLog({ level: 'info', destination: { write: (line) => lines.push(line) } }),
      clientAddress: createClientAddress([]),
    },
    { parts: () => parts, notes: () => [] },
  )
  const server = createServer(health.handle)
  let origin = ''
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  async function ask(path: string, method = 'GET') {
    const answer = await fetch(origin + path, { method })
    return { status: answer.status, allow: answer.headers.get('allow'), text: await answer.text() }
  }

  it('take their own paths only', () => {
    for (const path of ['/healthz', '/readyz', '/healthz?a=/x']) assert.ok(health.takes(path), path)
    for (const path of ['/healthz/', '/v1/readyz', '/readyzz']) assert.ok(!health.takes(path), path)
  })

  it('write no line for a good answer', async () => {
    assert.equal((await ask('/healthz')).status, 200)
    assert.deepEqual(JSON.parse((await ask('/readyz?x')).text), { status: 'ready', ...parts })
    assert.deepEqual(await ask('/readyz', 'HEAD'), { status: 200, allow: null, text: '' })
    assert.deepEqual(lines, [])
  })

  it('take GET and HEAD only', async () => {
    const { status, allow, text } = await ask('/healthz', 'POST')
    assert.deepEqual([status, allow], [405, 'GET, HEAD'])
    assert.partialDeepStrictEqual(JSON.parse(text), { code: 'method_not_allowed' })
  })

  it('say what is wrong, then that the server stops', async () => {
    parts.heartbeat = 'the disk is full'
    const away = await ask('/readyz')
    assert.equal(away.status, 503)
    const error = 'no request can be admitted: the disk is full'
    assert.deepEqual(JSON.parse(away.text), { status: 'unavailable', error, ...parts })
    health.stopping()
    const stopping = await ask('/readyz')
    assert.deepEqual([stopping.status, JSON.parse(stopping.text).status], [503, 'stopping'])
    assert.equal((await ask('/healthz')).status, 200)
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).code),
      ['method_not_allowed', 'store_unavailable', 'shutting_down'],
    )
  })
})
