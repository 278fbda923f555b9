import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { readAccount, usageIn } from '../support/account.ts'
import { assertServed, assertTold } from '../support/account-truth.ts'
import { type Cluster, clusterAdminKey, openCluster } from '../support/cluster.ts'
import { createRandom, hasEveryKind, runLoad, tellNothing } from '../support/crash-load.ts'
import { startCut } from '../support/cut.ts'
import { startDatabaseServer } from '../support/database-server.ts'
import { openEndlessStream, streamProtocols } from '../support/endless-stream.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/**
 * The database crashes five times, and then the network to it fails in each way, all under load: nobody is told
 * anything but that the store is away, and in time; every instance comes back by itself; and in the end the account
 * holds what clients, administrators and the upstream know, once.
 */
const crashes = 5
/** An ask is given up after 5 seconds. */
const boundMs = 7_000
const backMs = 15_000

async function untilAllAnswer({ instances }: Cluster, accessToken: string): Promise<number> {
  const begin = performance.now()
  const body = { model: 'gpt-4o@units=1', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] }
  for (const { port } of instances)
    await waitUntil(
      async () =>
        (await call(port, { path: '/v1/chat/completions', accessToken, body })).status === 200 &&
        (await call(port, { method: 'GET', path: '/readyz' })).status === 200,
      'the instance does its work again',
      backMs,
    )
  return performance.now() - begin
}

describe('two instances whose database fails', { timeout: 180_000 }, () => {
  it('lose nothing, double nothing, and come back by themselves', async (test) => {
    const server = await startDatabaseServer()
    const cut = await startCut(server.port)
    const cluster = await openCluster({
      instances: 2,
      server: server.urlOf('postgres'),
      through: cut.through,
      upstream: { behaviour: { chunkMs: 10 } },
    })
    try {
      const { database, instances, upstream } = cluster
      const [first, second] = instances
      assert.ok(first && second)
      const { token, id } = await cluster.admin(first, 'POST', '/admin/users', {})
      const accessToken = String(token)
      let isOver = false
      const loads = instances.map(({ port }, index) => {
        const told = tellNothing()
        const mark = 'ab'[index] ?? assert.fail()
        const random = createRandom(Math.floor(Math.random() * 2 ** 32))
        const url = `http://127.0.0.1:${port}`
        const ended = runLoad({
          ...{ url, adminKey: clusterAdminKey, told, random, mark, mayBeAway: true },
          isOver: () => isOver,
        })
        return { told, mark, ended }
      })
      await waitUntil(() => loads.every(({ told }) => hasEveryKind(told)), 'there is load', 20_000)
      const streams = streamProtocols.map((protocol) =>
        openEndlessStream(second.port, { ...protocol, model: `${protocol.model}@mark=long;x` }, accessToken),
      )
      await Promise.all(streams.map((stream) => stream.runs()))
      const backAfter: number[] = []
      for (let crash = 0; crash < crashes; crash++) {
        await wait(300 + Math.random() * 500)
        await server.restart('immediate')
        backAfter.push(await untilAllAnswer(cluster, accessToken))
      }
      for (const [mode, ms] of [
        ['reset', 1500],
        ['silent', 7000],
        ['unanswered', 1500],
      ] as const) {
        await cut.cut(mode)
        await wait(ms)
        assert.equal((await call(first.port, { method: 'GET', path: '/healthz' })).status, 200)
        await cut.heal()
        backAfter.push(await untilAllAnswer(cluster, accessToken))
      }
      const answered = () => loads.map(({ told: { counts } }) => counts.whole + counts.streamed)
      const before = answered()
      await waitUntil(
        () => answered().every((count, index) => count > (before[index] ?? 0)),
        'the load goes on',
        20_000,
      )
      isOver = true
      await Promise.all(loads.map(({ ended }) => ended))
      await waitUntil(() => streams.every((stream) => stream.hasEnded()), 'the long streams end', 60_000)
      for (const stream of streams) assert.match(stream.text(), /\[DONE\]|message_stop/)
      const account = await readAccount(database.rows, 45_000)
      let exact = 0
      for (const { told, mark } of loads) {
        const served = upstream.served().filter(({ model }) => model.includes(`@mark=${mark}-`))
        exact += assertServed(account, served, mark)
        assertTold(account, told)
        assert.ok(told.slowestMs < boundMs, `somebody waited ${Math.round(told.slowestMs)} ms`)
        assert.ok(told.counts.away > 0 && told.counts.whole > 0 && told.counts.streamed > 0)
      }
      const long = account.entriesOf(String(id)).filter(({ model }) => String(model).includes('@mark=long'))
      assert.equal(long.length, 2)
      const truths = new Map(upstream.served().map(({ model, usage }) => [model, usage]))
      for (const entry of long) assert.deepEqual(usageIn(entry), truths.get(String(entry.model)))
      const counts = loads.map(({ told }) => JSON.stringify(told.counts)).join(' and ')
      test.diagnostic(`${crashes} crashes and 3 cuts; clients and administrators saw ${counts}`)
      test.diagnostic(
        `${account.entries.length} entries, ${exact} units exact; both back after ${backAfter.map(Math.round).join(', ')} ms`,
      )
      const slowest = loads.map(({ told }) => Math.round(told.slowestMs)).join(' and ')
      test.diagnostic(`the longest that anybody waited for an answer: ${slowest} ms`)
    } catch (cause) {
      const said = cluster.instances.map(
        ({ program }) => `${program.process.exitCode} ${program.output().slice(-1500)}`,
      )
      throw new Error(`the instances said: ${said.join('\n')}`, { cause })
    } finally {
      await cut.heal()
      try {
        await cluster.close()
      } finally {
        await cut.close()
        await server.stop()
      }
    }
  })
})
