import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { unitsOf } from '#core/usage.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { bodyOf, type RequestKind, requestKinds, unitsNeeded } from './support/burst.ts'
import { withFolder } from './support/folder.ts'
import { call, openRaw } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type HeldUpstream, openHeldUpstream } from './support/held-upstream.ts'
import { assertInvariants } from './support/invariants.ts'
import { startProgram } from './support/process.ts'

/**
 * A quota is a quota, through the program as it is run: 200 requests at once where 10 fit, and what its ledger
 * says in the end is what the upstream says that it served, request by request; also what is estimated keeps within
 * what the request allows.
 */
const [requests, fitting] = [200, 10]
const adminKey = 'a-test-admin-key-1'

interface Here {
  readonly port: number
  readonly upstream: SimulatedUpstream
  /** In front of it. */
  readonly held: HeldUpstream
  readonly rows: (query: string) => Readonly<Record<string, unknown>>[]
  /** A user whose quota has room for exactly so many of these requests, by what one of them reserves. */
  readonly userFor: (
    kind: RequestKind,
  ) => Promise<{ readonly id: string; readonly accessToken: string; readonly limit: number }>
}

async function withServer(run: (here: Here) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 4 } })
    const held = await openHeldUpstream(upstream.url)
    // The bound: no estimate may be wrong to the quota's cost.
    writeFileSync(join(folder, 'tollgate.yaml'), 'inputEstimate: bound')
    const env = {
      DATA_DIR: join(folder, 'data'),
      PORT: '0',
      ADMIN_KEY: adminKey,
      LOG_LEVEL: 'error',
      OPENAI_BASE_URL: `${held.url}/v1`,
      ANTHROPIC_BASE_URL: held.url,
    }
    const program = startProgram([], env, folder)
    try {
      const port = Number(new URL(await program.listening).port)
      const headers = { authorization: `Bearer ${adminKey}` }
      const create = async (limit: number) => {
        const body = { tokenLimits: { gpt4: limit, claude: limit } }
        const { token } = JSON.parse((await call(port, { path: '/admin/users', headers, body })).text)
        const found = await call(port, { method: 'GET', path: `/admin/users/${token}`, headers })
        return { id: String(JSON.parse(found.text).id), accessToken: String(token), limit }
      }
      await run({
        port,
        upstream,
        held,
        rows(query) {
          const db = new DatabaseSync(join(folder, 'data', 'tollgate.db'), { readOnly: true })
          try {
            return db.prepare(query).all()
          } finally {
            db.close()
          }
        },
        async userFor(kind) {
          const { accessToken } = await create(0)
          const needed = await unitsNeeded(port, accessToken, kind)
          upstream.clearServed()
          return create(needed * fitting + Math.floor(needed / 2))
        },
      })
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0, program.output())
    } finally {
      program.process.kill('SIGKILL')
      await program.exit
      await held.close()
      await upstream.close()
    }
  })
}

async function settled({ rows }: Here, userId: string) {
  const entries = () => rows(`select * from entries where user_id = '${userId}'`)
  await waitUntil(() => entries().every(({ state }) => state !== 'open'), 'every entry is closed', 15_000)
  await assertInvariants({ rows: async (query) => rows(query) })
  return entries()
}

const sum = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.reduce((total, { units }) => total + Number(units), 0)

describe('200 requests at once through a server on a quota that fits 10', { timeout: 90_000 }, () => {
  it('admits 10, refuses 190, and books what was served', () =>
    withServer(async (here) => {
      for (const kind of requestKinds) {
        const { id, accessToken } = await here.userFor(kind)
        const sent = { path: kind.path, accessToken, body: bodyOf(kind) }
        let refused = 0
        // Held until all have asked, so that what the first ones leave over cannot let others in.
        here.held.hold()
        const asked = Array.from({ length: requests }, async () => {
          const answer = await call(here.port, sent)
          if (answer.status !== 200) refused++
          return answer
        })
        await waitUntil(() => refused >= requests - fitting, 'all others are refused', 30_000)
        here.held.release()
        const answers = await Promise.all(asked)
        const count = (status: number) => answers.filter((answer) => answer.status === status).length
        assert.deepEqual([count(200), count(429)], [fitting, requests - fitting], kind.path)
        const entries = await settled(here, id)
        const served = here.upstream.served()
        assert.deepEqual([entries.length, served.length], [fitting, fitting])
        const units = served.map(({ usage }) => (usage ? unitsOf(usage) : 0))
        assert.deepEqual(entries.map((entry) => Number(entry.units)).toSorted(), units.toSorted())
        assert.ok(sum(entries) > 0)
        assert.ok(entries.every(({ state, is_estimated }) => state === 'settled' && is_estimated === 0))
      }
    }))

  it('keeps the limit and charges each once when clients hang up at random moments', () =>
    withServer(async (here) => {
      for (const kind of requestKinds) {
        const { id, accessToken, limit } = await here.userFor(kind)
        const clients = Array.from({ length: requests }, async (_, index) => {
          // The mark is as long for all, so that all reserve the same.
          const mark = `mark ${1000 + index}`
          const raw = openRaw(here.port, { path: kind.path, accessToken, body: bodyOf(kind, mark) })
          // The first ones stay until they hear something, so that there is something to compare on a busy machine, too.
          if (index < 2 * fitting)
            await waitUntil(() => raw.received() !== '', 'the first are answered', 30_000)
          await Promise.race([wait(Math.random() * 400), raw.closed])
          raw.hangUp()
          await raw.closed
          return { mark, text: raw.received() }
        })
        const received = await Promise.all(clients)
        const entries = await settled(here, id)
        const used = sum(entries)
        assert.ok(used > 0 && used <= limit, `${used} of ${limit}`)
        const served = new Map(
          here.upstream.served().map((each) => [/mark \d+/.exec(each.body)?.[0] ?? '', each]),
        )
        assert.equal(served.size, here.upstream.served().length, 'nothing was sent twice')
        assert.ok(served.size <= entries.length, 'nothing was sent that was not admitted')
        const byId = new Map(entries.map((entry) => [String(entry.id), entry]))
        let compared = 0
        for (const { mark, text } of received) {
          const entry = byId.get(/^x-request-id: (\S+)/im.exec(text)?.[1] ?? '')
          if (!entry) continue
          const truth = served.get(mark)
          assert.ok(truth, 'who got an answer was served')
          compared += 1
          const told = truth.usage ? unitsOf(truth.usage) : 0
          if (entry.is_estimated === 0) {
            assert.equal(entry.units, told, mark)
            assert.equal(truth.usage?.output, truth.unitsSent, 'exact is what was said in the end')
          } else assert.ok(Number(entry.units) > 0 && Number(entry.units) <= Number(entry.hold), mark)
        }
        assert.ok(compared > 0, 'some were answered')
        const answered = entries.filter(({ status }) => Number(status) > 0)
        assert.ok(answered.length <= served.size, `${answered.length} answered, ${served.size} served`)
      }
    }))
})
