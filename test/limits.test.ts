import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { defaultNames } from '#config/file.ts'
import { createProblem, type ErrorCode, errorTable } from '#core/errors.ts'
import { type CountRow, type LimitRow, type ListRow, limitRows } from '#core/limits.ts'
import { providers } from '#providers/all.ts'
import {
  defaultsWithoutCase,
  expectAnswer,
  fieldsWithoutCase,
  type LimitCase,
  limitCases,
  limitFields,
  specialOf,
} from './support/limit-cases.ts'
import { openWorld, unitsServed, type World } from './support/limit-world.ts'
import { type DatabaseKind, databases } from './support/stores.ts'

/**
 * No limit is only stored: each field that limits a user, by the admin API's own schema and by the configuration's,
 * is set in the running program, met, and then refused, and the refusal has cost the user nothing of any limit.
 */
const generous = {
  requestsPerMinute: 600,
  concurrentRequests: 20,
  maxIps: 20,
  tokenLimits: { gpt4: 1_000_000, claude: 1_000_000 },
}

/** As the configuration's `defaults` call what the admin API calls otherwise. */
const fieldOf = (name: string) => (name === 'limits' ? 'tokenLimits' : name)

/** A user with room everywhere but where the case, or the configuration, says how much there is. */
function fieldsFor(one: LimitCase, now: number, way: 'user' | 'default'): object {
  const byDefault = Object.keys(one.byDefault ?? {}).map(fieldOf)
  const own = Object.entries(generous).filter(([name]) => way === 'user' || !byDefault.includes(name))
  return { ...Object.fromEntries(own), ...one.base, ...(way === 'user' && one.set(now)) }
}

async function play(world: World, one: LimitCase, way: 'user' | 'default'): Promise<void> {
  const { refused, first = {}, beyond = first } = one
  const user = await world.createUser(fieldsFor(one, world.clock.now, way))
  const held = one.isHeld ? await world.hold(user, first) : undefined
  if (!held) await expectAnswer(world, user, first, [200])
  await one.between?.(world, user)
  const before = await world.stateOf(user)
  const answer = await world.askNow(user, beyond)
  assert.equal(answer.status, refused.status, answer.text)
  const { error } = JSON.parse(answer.text)
  assert.equal(error.code, refused.code)
  assert.partialDeepStrictEqual(error.limit ?? {}, refused.limit?.(world.clock.now) ?? {})
  assert.deepEqual(await world.stateOf(user), before, 'a refusal costs nothing of any limit')
  await held?.end()
  await one.after?.(world, user)
}

/** The same with a special user, who is refused only where that type is not exempt. */
async function playSpecial(world: World, one: LimitCase, way: 'user' | 'default'): Promise<void> {
  const { first = {}, beyond = first } = one
  const user = await world.createUser({ ...fieldsFor(one, world.clock.now, way), type: 'special' })
  const held = one.isHeld ? await world.hold(user, first) : undefined
  if (!held) await expectAnswer(world, user, first, [200])
  await one.between?.(world, user)
  const { status, text } = await world.askNow(user, beyond)
  assert.equal(status, specialOf(one) === 'exempt' ? 200 : one.refused.status, text)
  await held?.end()
}

async function withWorld(
  database: DatabaseKind,
  defaults: object,
  run: (world: World) => Promise<void>,
): Promise<void> {
  const world = await openWorld(database, defaults)
  try {
    await run(world)
  } finally {
    await world.close()
  }
}

/**
 * Values at which a limit refuses the very first request, by its kind; undefined for a row that refuses nothing itself,
 * for which only its case shows what it does.
 */
function closedBy(row: LimitRow): number | readonly string[] | undefined {
  switch (row.kind) {
    case 'count':
      return 0
    case 'networks':
      return ['203.0.113.0/24']
    case 'models':
      return ['a-model-that-is-not-asked-for']
    case 'days':
    case 'choice':
      return undefined
  }
}

/** What the gateway answers to a request that the row refuses. */
function refusalBy(row: CountRow | ListRow): { readonly status: number; readonly code: string } {
  const code = Object.keys(errorTable).find((name) => name === row.refusal) as ErrorCode
  const provider = providers.find(({ name }) => name === 'openai')
  const { error } = JSON.parse(provider?.renderProblem(createProblem(code), 'req_x') ?? '')
  return { status: errorTable[code].status, code: error.code }
}

/** Asks once as a user of that type, whose limit is closed by their own value or by the configuration's. */
async function playClosed(world: World, name: string, row: CountRow | ListRow, own: object): Promise<void> {
  const { status, code } = refusalBy(row)
  const user = await world.createUser({ ...omit(generous, name), ...own })
  const answer = await world.askNow(user)
  assert.equal(answer.status, status, `${name} refused nothing: ${answer.text}`)
  const { error } = JSON.parse(answer.text)
  assert.equal(error.code, code)
  if (row.kind === 'count')
    assert.partialDeepStrictEqual(error.limit, { name, limit: 0 }, 'the refusal says which limit it was')
  const special = await world.createUser({ ...omit(generous, name), ...own, type: 'special' })
  const { status: answered, text } = await world.askNow(special)
  assert.equal(answered, row.special === 'exempt' ? 200 : status, text)
}

function omit(fields: object, name: string): object {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => field !== name))
}

for (const database of databases) {
  describe(`every row of the table of limits that refuses, on ${database.name}`, () => {
    let world: World
    before(async () => {
      world = await openWorld(database, {})
    })
    after(() => world.close())

    for (const [name, row] of limitRows) {
      const closed = closedBy(row)
      if (!('refusal' in row) || closed === undefined) continue
      it(`${name}: a user's own is closed; special users are ${row.special}`, () =>
        playClosed(world, name, row, { [name]: closed }))
      it(`${name}: the default is closed, and a user's own value opens it`, () =>
        withWorld(database, { [name]: closed }, async (own) => {
          await playClosed(own, name, row, {})
          const open = await own.createUser({ ...generous, [name]: row.kind === 'count' ? -1 : [] })
          assert.equal((await own.askNow(open)).status, 200)
        }))
    }
  })
}

for (const database of databases) {
  describe(`every limit of a user on ${database.name}`, () => {
    // Each test has a user of its own; the clock only ever goes on.
    let world: World
    before(async () => {
      world = await openWorld(database, {})
    })
    after(() => world.close())

    for (const one of limitCases) {
      const exempt = specialOf(one) === 'exempt' ? 'exempt' : 'held as well'
      it(`${one.field}: ${one.name}`, () => play(world, one, 'user'))
      it(`${one.field}: ${one.name}; special users are ${exempt}`, () => playSpecial(world, one, 'user'))
      const { byDefault } = one
      if (!byDefault) continue
      it(`${one.field}: ${one.name}, by default`, () =>
        withWorld(database, byDefault, async (own) => {
          await play(own, one, 'default')
          await playSpecial(own, one, 'default')
        }))
    }

    it('outputUnits by default: what an answer without a bound may have', () =>
      withWorld(database, { outputUnits: 25 }, async (own) => {
        const user = await own.createUser({ tokenLimits: { gpt4: 1000 } })
        await expectAnswer(own, user, { output: null }, [200])
        assert.match(own.sentUpstream(), /"max_tokens":25\b/)
      }))

    it('outputFloor and outputShare by default: what is held of a bound that is larger', () =>
      withWorld(database, { outputFloor: 100, outputShare: 0.5 }, async (own) => {
        const user = await own.createUser({ tokenLimits: { gpt4: 1000 } })
        const whole = await expectAnswer(own, user, { output: 100 }, [200])
        assert.equal(whole.headers['x-tollgate-output-cap'], '100', 'under the name that the upstream obeys')
        const lowered = await expectAnswer(own, user, { output: 128_000 }, [200])
        const cap = Number(lowered.headers['x-tollgate-output-cap'])
        const half = (1000 - unitsServed) / 2
        assert.ok(
          cap <= half && cap > half - 5,
          `half of what ${unitsServed} and some input left, not ${cap}`,
        )
        assert.match(own.sentUpstream(), new RegExp(`"max_tokens":${cap}\\b`))
      }))

    it('outputLeast by default: what an answer without a bound must have room for', () =>
      withWorld(database, { outputLeast: 900 }, async (own) => {
        const user = await own.createUser({ tokenLimits: { gpt4: 900 } })
        await expectAnswer(own, user, { output: null }, [429, 'insufficient_quota'])
        const other = await own.createUser({ tokenLimits: { gpt4: 2000 } })
        await expectAnswer(own, other, { output: null }, [200])
      }))
  })
}

const shownApart = ['outputFloor', 'outputShare', 'outputUnits', 'outputLeast']

describe('every field that limits a user', () => {
  it('has a case', () => {
    assert.deepEqual(fieldsWithoutCase(limitFields(), limitCases), [])
    assert.deepEqual(defaultsWithoutCase(limitCases, shownApart), [])
  })

  it('would be missed without one', () => {
    assert.ok(limitFields().length >= 12, `only ${limitFields().length} fields`)
    assert.deepEqual(fieldsWithoutCase([...limitFields(), 'newLimit'], limitCases), ['newLimit'])
    const names = [...defaultNames, 'newLimit']
    assert.deepEqual(defaultsWithoutCase(limitCases, shownApart, names), ['newLimit'])
    const others = limitCases.filter(({ field }) => field !== 'maxIps')
    assert.deepEqual(fieldsWithoutCase(limitFields(), others), ['maxIps'])
  })
})
