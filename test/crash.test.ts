import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { readAccountFile } from './support/account-file.ts'
import { assertServed, assertTold } from './support/account-truth.ts'
import { createRandom, hasEveryKind, runLoad, tellNothing } from './support/crash-load.ts'
import { withFolder } from './support/folder.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, startProgram } from './support/process.ts'

/**
 * `kill -9` at a random moment of load, and then again: whatever a client or an administrator was told has happened
 * is there after the next start, once, and the ledger says of each request what the upstream says that it served.
 * Three rounds here; CRASH_ROUNDS asks for more, CRASH_SEED for the draws of an earlier run.
 */
const rounds = Number(process.env.CRASH_ROUNDS ?? 3)
const seed = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32))
const adminKey = 'a-test-admin-key-1'

describe('kill -9 under load', () => {
  it(`loses and doubles nothing, ${rounds} times`, { timeout: 60_000 + rounds * 20_000 }, (test) =>
    withFolder(async (folder) => {
      test.diagnostic(`CRASH_SEED=${seed}`)
      const random = createRandom(seed)
      const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 1 } })
      const data = join(folder, 'data')
      const env = {
        DATA_DIR: data,
        PORT: '0',
        ADMIN_KEY: adminKey,
        OPENAI_BASE_URL: `${upstream.url}/v1`,
        OPENAI_API_KEY: 'x',
        ANTHROPIC_BASE_URL: upstream.url,
        ANTHROPIC_API_KEY: 'x',
        LOG_LEVEL: 'error',
      }
      const told = tellNothing()
      let program: Program | undefined
      let [exact, brokenStarts, round] = [0, 0, 0]

      /** Starts it, and looks at what the crash before has left. */
      async function start(): Promise<string> {
        program = startProgram([], env)
        const url = await program.listening
        const account = await readAccountFile(data)
        assertTold(account, told)
        if (round > 0) exact += assertServed(account, upstream.served(), `r${round}`)
        upstream.clearServed()
        return url
      }

      async function end(signal: NodeJS.Signals): Promise<number | null | undefined> {
        program?.process.kill(signal)
        return program?.exit
      }

      try {
        for (; round < rounds; round++) {
          const url = await start()
          let isOver = false
          const mark = `r${round + 1}`
          const load = runLoad({ url, adminKey, told, random, mark, isOver: () => isOver })
          // The first one when there is load of every kind, the others at any moment.
          if (round === 0) await waitUntil(() => hasEveryKind(told), 'there is load of every kind', 20_000)
          else await wait(50 + random() * 950)
          isOver = true
          await end('SIGKILL')
          await load
          if (random() > 0.2) continue
          // A crash while the crash before is cleared up.
          brokenStarts += 1
          program = startProgram([], env)
          await wait(random() * 700)
          await end('SIGKILL')
        }
        await start()
        const { counts } = told
        assert.equal(counts.away, 0)
        const { away: _, ...load } = counts
        for (const [what, count] of Object.entries(load)) assert.ok(count > 0, `there was no load: ${what}`)
        assert.ok(told.users.size > rounds && exact > 0, `${told.users.size} users, ${exact} units`)
        assert.equal(await end('SIGTERM'), 0, 'it stops in order')
        const { entries } = await readAccountFile(data)
        const states = Object.entries(Object.groupBy(entries, ({ state }) => String(state)))
        const ended = states.map(([state, some]) => `${some?.length} ${state}`).join(', ')
        test.diagnostic(`${rounds} kills under load, ${brokenStarts} more in the next start: ${ended}`)
        test.diagnostic(`clients and administrators saw ${JSON.stringify(counts)}; ${exact} units exact`)
      } catch (cause) {
        throw new Error(`after round ${round} with CRASH_SEED=${seed}`, { cause })
      } finally {
        await end('SIGKILL')
        await upstream.close()
      }
    }),
  )
})
