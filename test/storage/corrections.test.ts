import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { InputCorrection } from '#core/input-correction.ts'
import { correctedModelsMax } from '#core/input-correction.ts'
import { createInputCorrections } from '#metering/input-corrections.ts'
import { openInputExchange } from '#metering/input-exchange.ts'
import { openStore } from '#storage/open.ts'
import type { CorrectionStore } from '#storage/store.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:34:56Z')
const dayMs = 86_400_000
const everyMs = 3_600_000
const clock = () => now

const said = (more: Partial<InputCorrection> = {}): InputCorrection => ({
  model: 'gpt-4o',
  kind: 'images',
  voice: 3,
  factor: 1.75,
  requests: 12,
  ...more,
})
const nothing = { plain: 0, tools: 0, serverTools: 0, images: 0, documents: 0, audio: 0, sealed: 0 }
const counted = { model: 'gpt-4o', units: { ...nothing, images: 1600 }, real: 8000 }

/** Users whose voices are three. */
const userIds = ['usr_1', 'usr_2', 'usr_3']

for (const { name, create } of databases) {
  describe(`corrections of estimates on ${name}`, () => {
    it('are written, written over and read', () =>
      withStore(create, async ({ corrections }) => {
        assert.deepEqual(await corrections.readCorrections(0), [])
        const others = [
          said({ kind: 'plain' }),
          said({ kind: 'hidden' }),
          said({ voice: 4 }),
          said({ model: 'claude-"x"\n' }),
        ]
        await corrections.writeCorrections([said(), ...others], now)
        await corrections.writeCorrections([said({ factor: 0.3, requests: 13 })], now + 1000)
        await corrections.writeCorrections([], now)
        const all = await corrections.readCorrections(0)
        const expected = [said({ factor: 0.3, requests: 13 }), ...others]
        assert.deepEqual(
          new Set(all.map((one) => JSON.stringify(sorted(one)))),
          new Set(expected.map((one) => JSON.stringify(sorted(one)))),
        )
        assert.deepEqual((await corrections.readCorrections(now + 1)).map(sorted), [
          sorted(said({ factor: 0.3, requests: 13 })),
        ])
      }))

    it('leave out a kind that only a later version knows', () =>
      withStore(create, async ({ corrections }, database) => {
        await corrections.writeCorrections([said()], now)
        await database.change("update input_corrections set kind = 'holograms'")
        assert.deepEqual(await corrections.readCorrections(0), [])
      }))

    it('are purged when they are old, or of models beyond those that are kept', () =>
      withStore(create, async ({ corrections, upkeep }) => {
        const many = Array.from({ length: correctedModelsMax + 20 }, (_, n) =>
          said({ model: `m-${n}`, requests: n }),
        )
        await corrections.writeCorrections(many, now)
        await corrections.writeCorrections([said({ requests: 1000 })], now - 91 * dayMs)
        const before = now - 90 * dayMs
        let removed = 0
        for (let count = 1; count > 0; removed += count) count = await upkeep.purgeCorrections(before, 8)
        assert.equal(removed, 21)
        const left = (await corrections.readCorrections(0)).map(({ model }) => model)
        assert.ok(
          left.length === correctedModelsMax && !left.includes('m-19') && left.includes('m-20'),
          `${left.length}`,
        )
      }))

    it('survive a restart', async () => {
      const database = await create()
      const first = await openStore(database.settings())
      const learned = createInputCorrections()
      const exchange = await openInputExchange(first.corrections, learned, { clock, everyMs })
      for (let n = 0; n < 60; n += 1) learned.learn({ ...counted, userId: userIds[n % 3] ?? '' })
      await exchange.close()
      await first.close()
      const second = await openStore(database.settings())
      const fresh = createInputCorrections()
      const again = await openInputExchange(second.corrections, fresh, { clock, everyMs })
      assert.ok(fresh.factorsOf('gpt-4o').images > 4)
      assert.deepEqual(fresh.factorsOf('gpt-4o'), learned.factorsOf('gpt-4o'))
      await again.close()
      await second.close()
      await database.remove()
    })

    it('are kept until the store is there again', () =>
      withStore(create, async ({ corrections }) => {
        const learned = createInputCorrections()
        const failures: unknown[] = []
        let isAway = true
        const store: CorrectionStore = {
          readCorrections: corrections.readCorrections,
          writeCorrections: (rows, at) =>
            isAway ? Promise.reject(new Error('away')) : corrections.writeCorrections(rows, at),
        }
        const options = { clock, everyMs, onFailure: (error: unknown) => failures.push(error) }
        const exchange = await openInputExchange(store, learned, options)
        learned.learn({ ...counted, userId: 'usr_1' })
        await exchange.exchange()
        assert.match(String(failures), /away/)
        isAway = false
        await exchange.exchange()
        assert.equal((await corrections.readCorrections(0)).length, 1)
        await exchange.close()
      }))
  })
}

for (const { name, create } of databases.filter((database) => database.name === 'PostgreSQL')) {
  it(`two instances on ${name} learn from each other`, async () => {
    const database = await create()
    const stores = [
      await openStore(database.settings({ instance: 'one' })),
      await openStore(database.settings({ instance: 'two' })),
    ]
    const sides = await Promise.all(
      stores.map(async (store) => {
        const learned = createInputCorrections()
        return { learned, exchange: await openInputExchange(store.corrections, learned, { clock, everyMs }) }
      }),
    )
    const [one, two] = sides
    assert.ok(one && two)
    // Each hears other users: neither has three voices of its own.
    for (let n = 0; n < 40; n += 1) one.learned.learn({ ...counted, userId: userIds[n % 2] ?? '' })
    for (let n = 0; n < 40; n += 1) two.learned.learn({ ...counted, userId: userIds[2] ?? '' })
    // Both write the same rows at once.
    for (let round = 0; round < 3; round += 1)
      await Promise.all(sides.map(({ exchange }) => exchange.exchange()))
    assert.deepEqual(one.learned.factorsOf('gpt-4o'), two.learned.factorsOf('gpt-4o'))
    assert.equal((await stores[0]?.corrections.readCorrections(0))?.length, 3)
    for (const { exchange } of sides) await exchange.close()
    for (const store of stores) await store.close()
    await database.remove()
  })
}

function sorted(one: InputCorrection): InputCorrection {
  const { model, kind, voice, factor, requests } = one
  return { model, kind, voice, factor, requests }
}
