import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { withFolder } from './support/folder.ts'
import { assertInvariants } from './support/invariants.ts'
import { startProgram } from './support/process.ts'

/**
 * `kill -9` in the middle of load: whatever a client was told has happened is there after the next start, once.
 * Three rounds here; CRASH_ROUNDS asks for more.
 */
const rounds = Number(process.env.CRASH_ROUNDS ?? 3)
const adminKey = 'a-test-admin-key-1'

interface Told {
  readonly users: string[]
  /** Units by the request id of each answer that a client saw to its end. */
  readonly answers: Map<string, number>
}

async function drive(url: string, told: Told, isOver: () => boolean): Promise<void> {
  const headers = (secret: string) => ({
    'content-type': 'application/json',
    authorization: `Bearer ${secret}`,
  })
  try {
    while (!isOver()) {
      const made = await fetch(`${url}/admin/users`, {
        method: 'POST',
        headers: headers(adminKey),
        body: '{"type":"normal"}',
      })
      const { token: accessToken } = (await made.json()) as { token: string }
      told.users.push(accessToken)
      for (const stream of [false, true, false]) {
        const body = JSON.stringify({
          model: 'gpt-4o-mini',
          stream,
          ...(stream && { stream_options: { include_usage: true } }),
          messages: [{ role: 'user', content: 'one two three' }],
        })
        const answer = await fetch(`${url}/v1/chat/completions`, {
          method: 'POST',
          headers: headers(accessToken),
          body,
        })
        const units = /"total_tokens":\s*(\d+)/.exec(await answer.text())?.[1]
        assert.equal(answer.status, 200)
        assert.ok(units)
        told.answers.set(answer.headers.get('x-request-id') ?? '', Number(units))
      }
    }
  } catch (error) {
    // The server is gone in the middle of a request: that is what this is about.
    if (!isOver()) throw error
  }
}

describe('kill -9 under load', () => {
  it(`loses and doubles nothing, ${rounds} times`, { timeout: 60_000 + rounds * 20_000 }, () =>
    withFolder(async (folder) => {
      const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 1 } })
      const env = {
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_KEY: adminKey,
        OPENAI_BASE_URL: `${upstream.url}/v1`,
        OPENAI_API_KEY: 'x',
        LOG_LEVEL: 'error',
      }
      const told: Told = { users: [], answers: new Map() }
      for (let round = 0; round < rounds; round++) {
        const program = startProgram([], env)
        const url = await program.listening
        let isOver = false
        const drivers = Array.from({ length: 12 }, () => drive(url, told, () => isOver))
        await wait(300 + Math.random() * 700)
        isOver = true
        program.process.kill('SIGKILL')
        await Promise.all(drivers)
        await program.exit
      }
      assert.ok(told.users.length > rounds && told.answers.size > rounds, 'there was load')

      const last = startProgram([], env)
      const url = await last.listening
      const listed = await fetch(`${url}/admin/users`, { headers: { authorization: `Bearer ${adminKey}` } })
      const { users } = (await listed.json()) as { users: { token: string }[] }
      const there = new Set(users.map((user) => user.token))
      assert.deepEqual(
        told.users.filter((accessToken) => !there.has(accessToken)),
        [],
        'every user that was acknowledged is there',
      )
      last.process.kill('SIGTERM')
      assert.equal(await last.exit, 0, last.output())

      const db = new DatabaseSync(join(folder, 'tollgate.db'))
      assert.deepEqual(
        db
          .prepare('pragma integrity_check')
          .all()
          .map((row) => ({ ...row })),
        [{ integrity_check: 'ok' }],
      )
      const entries = new Map(
        db
          .prepare('select id, state, units, is_estimated from entries')
          .all()
          .map((row) => [String(row.id), row]),
      )
      for (const [requestId, units] of told.answers) {
        const entry = entries.get(requestId)
        assert.deepEqual([entry?.state, entry?.units, entry?.is_estimated], ['settled', units, 0], requestId)
      }
      assert.equal([...entries.values()].filter((entry) => entry.state === 'open').length, 0)
      await assertInvariants({ rows: async (query) => db.prepare(query).all() })
      const settled = [...entries.values()].filter(
        (entry) => entry.state === 'settled' && entry.is_estimated === 0,
      )
      const booked = settled.reduce((sum, entry) => sum + Number(entry.units), 0)
      const served = upstream
        .served()
        .reduce(
          (sum, { usage }) =>
            sum +
            (usage ? usage.input + usage.cacheRead + usage.cacheWritten + usage.output + usage.reasoning : 0),
          0,
        )
      assert.ok(booked <= served, `booked ${booked} of ${served} that were served`)
      db.close()
      await upstream.close()
    }),
  )
})
