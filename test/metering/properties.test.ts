import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { PolicySettings } from '#core/policy-settings.ts'
import type { Settlement } from '#core/settlement.ts'
import { noUsage, type Usage, unitsOf } from '#core/usage.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { WeightSettings } from '#core/weights.ts'
import { createRequestId } from '#http/request-id.ts'
import { openLedger } from '#metering/batcher.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, type TestDatabase, testPolicy } from '../support/stores.ts'
import {
  AccountModel,
  type ModelEntry,
  type ModelPolicy,
  type ModelUser,
  type ModelWeights,
} from './account-model.ts'
import {
  type AskDraw,
  type Command,
  type Crowd,
  crowd,
  type EditDraw,
  type EventDraw,
  families,
  type History,
  history,
  type SettleDraw,
} from './histories.ts'

/**
 * Random histories over a real store, each step compared with a model that keeps no counters. PROPERTY_RUNS says
 * how many; PROPERTY_SEED repeats the ones that a failure printed. The clock is set back only within a period: what
 * happens across the end of one is a rule of its own, with a test of its own in ledger.test.ts.
 */
const runs = Number(process.env.PROPERTY_RUNS ?? 150)
const seed = process.env.PROPERTY_SEED
const parameters = (numRuns: number) => ({ numRuns, ...(seed !== undefined && { seed: Number(seed) }) })

/** 2026-11-22, a Sunday: a day before the week's end, eight before the month's. */
const startAt = Date.parse('2026-11-22T12:00:00Z')
const halfHourMs = 1_800_000
const hourMs = 2 * halfHourMs
const silentMs = 15_000
const historiesPerStore = 25

interface Rules {
  readonly settings: PolicySettings
  readonly model: ModelPolicy
  /** Each start takes the next ones; absent: never any. */
  readonly weights?: readonly Weighting[]
}

interface Weighting {
  readonly settings: WeightSettings
  readonly model: ModelWeights
}

const weightings: readonly Weighting[] = [
  {
    settings: {
      all: { cacheRead: 0.1, output: 2.5 },
      families: { claude: { input: 0.333, cacheWritten: 1.25 } },
    },
    model: {
      all: { input: 1000, cacheRead: 100, cacheWritten: 1000, output: 2500 },
      claude: { input: 333, cacheRead: 100, cacheWritten: 1250, output: 2500 },
    },
  },
  { settings: { all: {}, families: {} }, model: {} },
  {
    settings: {
      all: { input: 0, cacheRead: 0, cacheWritten: 0 },
      families: { claude: { output: 0, input: 3 } },
    },
    model: {
      all: { input: 0, cacheRead: 0, cacheWritten: 0, output: 1000 },
      claude: { input: 3000, cacheRead: 0, cacheWritten: 0, output: 0 },
    },
  },
]

const rules: readonly Rules[] = [
  {
    settings: { ...testPolicy, output: { floor: 20, share: 0.25, unstated: 50, least: 5 } },
    model: {
      limits: {},
      defaults: {},
      output: { floor: 20, share: 0.25, unstated: 50, least: 5 },
      offsetMs: 0,
    },
  },
  {
    settings: {
      ...testPolicy,
      output: { floor: 8192, share: 0.25, unstated: 30, least: 1 },
      limits: { claude: 200 },
      defaults: { period: 'daily', concurrentRequests: 6, requestsPerMinute: 20 },
      timeZone: 'Asia/Kolkata',
    },
    model: {
      limits: { claude: 200 },
      defaults: { period: 'daily', concurrentRequests: 6, requestsPerMinute: 20 },
      output: { floor: 8192, share: 0.25, unstated: 30, least: 1 },
      offsetMs: 5.5 * 3_600_000,
    },
  },
  {
    settings: {
      ...testPolicy,
      output: { floor: 20, share: 0.25, unstated: 50, least: 5 },
      limits: { claude: 300 },
      defaults: { period: 'daily' },
    },
    model: {
      limits: { claude: 300 },
      defaults: { period: 'daily' },
      output: { floor: 20, share: 0.25, unstated: 50, least: 5 },
      offsetMs: 0,
    },
    weights: weightings,
  },
]

/** A store that many histories share, until one of them fails. */
interface Shared {
  readonly database: TestDatabase
  readonly rules: Rules
  store: Store
  starts: number
  histories: number
}

function weightingOf({ rules: { weights = [] }, starts }: Shared): Weighting | undefined {
  return weights[starts % weights.length]
}

let lastNumber = 0
function unique(what: string): string {
  lastNumber += 1
  return `${what}-${lastNumber}`
}

/** One history as it runs: the store, the model beside it, and the time. */
class Run {
  readonly #shared: Shared
  readonly #model: AccountModel
  readonly #users: ModelUser[] = []
  readonly #ids = new Map<ModelUser, string>()
  readonly #usersById = new Map<string, ModelUser>()
  readonly #name = unique('run')
  #now = startAt
  #refused: { readonly ask: AdmissionAsk; readonly retryAt: number } | undefined

  constructor(shared: Shared) {
    this.#shared = shared
    this.#model = new AccountModel(shared.rules.model)
    this.#model.weights = weightingOf(shared)?.model ?? {}
  }

  async play({ users, commands }: History): Promise<void> {
    for (const edit of users) await this.#addUser(edit)
    for (const command of commands) {
      await this.#do(command)
      for (const user of this.#users) await this.#checkUser(user)
    }
    await this.#audit()
    // What is left open would be another history's surprise.
    const rest = this.#model.openEntries().map((entry) => settlementOf(entry.id, 'settled', entry.input))
    await this.#batch(rest, [], [])
    await this.#audit()
    assert.deepEqual(this.#model.openEntries(), [])
  }

  async #addUser(drawn: EditDraw): Promise<void> {
    const user = this.#model.addUser(unique('token'))
    this.#users.push(user)
    await this.#write([{ user, edit: this.#editOf(drawn) }])
    const found = await this.#find(user)
    this.#ids.set(user, found.id)
    this.#usersById.set(found.id, user)
  }

  async #do(command: Command): Promise<void> {
    switch (command.kind) {
      case 'batch':
        return this.#batch(
          command.settles.flatMap((drawn) => this.#settlementFor(drawn)),
          command.events.map((drawn) => this.#eventFor(drawn)),
          command.asks.map((drawn) => this.#askFor(drawn)),
          command.via,
        )
      case 'edit':
        return this.#write(
          command.edits.map((drawn) => ({ user: this.#userAt(drawn.user), edit: this.#editOf(drawn.edit) })),
        )
      case 'disable':
        return this.#disable(this.#userAt(command.user))
      case 'wait':
        this.#now += command.ms
        return
      case 'clock back':
        return this.#setBack(command.ms)
      case 'come back':
        return this.#comeBack()
      case 'add':
        return this.#add(this.#userAt(command.user), command.family, command.units)
      case 'renew':
        return this.#renew(command.which, command.ms)
      case 'sweep':
        return this.#sweep(({ leaseUntil = Number.POSITIVE_INFINITY }) => leaseUntil <= this.#now)
      case 'gather':
        return this.#gather()
      case 'crash':
        return this.#crash()
      case 'audit':
        return this.#audit()
    }
  }

  #setBack(ms: number): void {
    const earliest = earliestOf(this.#now)
    this.#refused = undefined
    this.#now = Math.max(this.#now - ms, Math.min(this.#now, earliest))
  }

  async #batch(
    settlements: Settlement[],
    events: UsageEvent[],
    asks: AdmissionAsk[],
    via: 'store' | 'ledger' = 'store',
  ): Promise<void> {
    const now = this.#now
    this.#refused = undefined
    const expected = settlements.map((settlement) => this.#model.settle(settlement, now))
    const counted = events.map((event) => this.#model.count(event, this.#usersById, now))
    const { metering } = this.#shared.store
    if (via === 'store') {
      const answer = await metering.runBatch({ now, settlements, events, asks })
      assert.deepEqual([answer.settlements, answer.events], [expected, counted])
      for (const [index, ask] of asks.entries()) this.#checkOutcome(ask, answer.asks[index])
      return
    }
    // What comes in one turn is one batch.
    const ledger = openLedger(metering, () => now)
    const settled = settlements.map((settlement) => ledger.settle(settlement))
    const reported = events.map((event) => ledger.count(event))
    const outcomes = await Promise.all(asks.map((ask) => ledger.admit(ask)))
    for (const [index, ask] of asks.entries()) this.#checkOutcome(ask, outcomes[index])
    assert.deepEqual([await Promise.all(settled), await Promise.all(reported)], [expected, counted])
    await ledger.close()
  }

  #checkOutcome(ask: AdmissionAsk, outcome: AdmissionOutcome | undefined): void {
    assert.ok(outcome)
    const model = this.#model
    const now = this.#now
    const expected = model.predict(ask, now)
    const got =
      outcome.kind === 'admitted'
        ? { kind: outcome.kind, hold: outcome.hold, outputCap: outcome.outputCap }
        : { kind: outcome.kind, code: outcome.code }
    const about = `the answer to ${JSON.stringify(ask)} at ${now}`
    if (expected.kind === 'either') {
      const code = outcome.kind === 'refused' ? outcome.code : outcome.kind
      assert.ok(expected.codes.includes(code), about)
    } else assert.deepEqual(got, expected, about)
    const user = model.userOf(ask)
    assert.deepEqual([outcome.user?.id, outcome.user?.type], [user && this.#ids.get(user), user?.type])
    if (outcome.kind === 'refused') {
      model.refuse(ask, outcome.code, now)
      assert.ok(
        outcome.retryAt === undefined || outcome.retryAt > now,
        `retryAt ${outcome.retryAt} lies ahead of ${now}`,
      )
      if (outcome.code === 'rate_limited' && outcome.retryAt !== undefined)
        this.#refused = { ask, retryAt: outcome.retryAt }
      return
    }
    model.admit(ask, outcome.hold, now)
    const { family } = ask.units ?? ask.pass ?? {}
    if (!user || family === undefined) return
    const limit = model.quotaLimit(user, family, now)
    const used = model.used(user, family, now)
    const reserved = model.reserved(user, family) + (ask.isDry ? outcome.hold : 0)
    assert.ok(
      limit === undefined || outcome.hold === 0 || used + reserved <= limit,
      `${used} + ${reserved} of ${limit} after an admission`,
    )
    const { resetAt: _, ...view } = outcome.quota ?? assert.fail('an admission says where the quota stands')
    assert.deepEqual(view, { family, used, reserved, limit, extra: model.extra(user, family, now) })
  }

  /** All or nothing: one temporary user without an end refuses them all. */
  async #write(writes: readonly { readonly user: ModelUser; readonly edit: UserEdit }[]): Promise<void> {
    const now = this.#now
    this.#refused = undefined
    const after = new Map(writes.map(({ user }) => [user, { type: user.type, expiresAt: user.expiresAt }]))
    const wrong = writes.findIndex(({ user, edit }) => {
      const before = after.get(user)
      const type = edit.type ?? before?.type ?? 'normal'
      const expiresAt = edit.expiresAt === undefined ? before?.expiresAt : (edit.expiresAt ?? undefined)
      after.set(user, { type, expiresAt })
      return type === 'temporary' && expiresAt === undefined
    })
    const result = await this.#shared.store.users.writeUsers(
      writes.map(({ user, edit }) => ({ ref: { accessToken: user.accessToken }, edit })),
      by(now),
    )
    if (wrong >= 0) {
      assert.deepEqual([result.kind, result.kind === 'invalid' && result.index], ['invalid', wrong])
      return
    }
    assert.equal(result.kind, 'written')
    for (const { user, edit } of writes) this.#model.edit(user, edit, now)
  }

  async #disable(user: ModelUser): Promise<void> {
    const now = this.#now
    await this.#shared.store.users.disableUser({ accessToken: user.accessToken }, undefined, by(now))
    if (user.disabledAt === undefined || user.disabledAt > now) user.disabledAt = now
  }

  /** Who comes back when it was told to is not told the same again. */
  async #comeBack(): Promise<void> {
    const refused = this.#refused
    if (!refused || refused.retryAt < this.#now) return
    this.#now = refused.retryAt
    await this.#batch([], [], [{ ...refused.ask, requestId: createRequestId(this.#now) }])
    assert.equal(this.#refused, undefined, `it came back at ${refused.retryAt} as it was told`)
  }

  async #add(user: ModelUser, family: string, units: number): Promise<void> {
    const expected = this.#model.add(user, family, units, this.#now)
    const ref = { accessToken: user.accessToken }
    const result = await this.#shared.store.users.addToQuota(ref, { family, units }, by(this.#now))
    assert.equal(result.kind, expected)
  }

  async #renew(which: number, ms: number): Promise<void> {
    const leased = [...this.#model.entries.values()].filter(({ leaseUntil }) => leaseUntil !== undefined)
    const entry = leased[which % leased.length]
    if (!entry) return
    const leaseUntil = this.#now + ms
    const outcome = await this.#shared.store.metering.renewLease(entry.id, leaseUntil)
    assert.equal(outcome, entry.state === 'open' ? 'renewed' : 'closed')
    if (entry.state === 'open') entry.leaseUntil = leaseUntil
  }

  /** What nobody will settle is abandoned, and nothing else. */
  async #sweep(isLost: (entry: ModelEntry) => boolean): Promise<void> {
    const lost = this.#model.openEntries().filter(isLost)
    assert.equal(await this.#shared.store.metering.abandonEntries(this.#now, silentMs), lost.length)
    for (const { id } of lost) this.#model.settle(settlementOf(id, 'abandoned', 0), this.#now)
  }

  async #gather(): Promise<void> {
    const { upkeep } = this.#shared.store
    const before = Math.floor(this.#now / hourMs) * hourMs
    while ((await upkeep.gatherUsage(before, 500)) > 0);
  }

  async #crash(): Promise<void> {
    const { database, rules: held, store } = this.#shared
    await store.close()
    this.#shared.starts += 1
    const weighting = weightingOf(this.#shared)
    this.#model.weights = weighting?.model ?? {}
    const policy = { ...held.settings, ...(weighting && { weights: weighting.settings }) }
    this.#shared.store = await openStore(database.settings({ policy, instance: unique('instance') }))
    await this.#sweep(({ leaseUntil }) => leaseUntil === undefined || leaseUntil <= this.#now)
  }

  /** What an administrator sees. */
  async #checkUser(user: ModelUser): Promise<void> {
    const found = await this.#find(user)
    assert.deepEqual(
      {
        type: found.type,
        disabledAt: found.disabledAt,
        disabledReason: found.disabledReason,
        expiresAt: found.expiresAt,
        promptCount: found.promptCount,
        limits: found.limits,
      },
      {
        type: user.type,
        disabledAt: user.disabledAt,
        disabledReason: user.disabledReason,
        expiresAt: user.expiresAt,
        promptCount: user.promptCount,
        limits: user.limits,
      },
    )
    // The latest start of a request is noted when it ends, or before.
    const requests = this.#model.entriesOf(user).filter(({ id }) => !id.startsWith('adjustment'))
    const { lastUsedAt = 0 } = found
    const ended = latestOf(requests.filter(({ state }) => state !== 'open'))
    const begun = latestOf(requests)
    assert.ok(lastUsedAt >= ended && lastUsedAt <= begun, `${lastUsedAt} from ${ended} to ${begun}`)
    for (const family of families) {
      const { used = 0, reserved = 0, extra = 0, openRequests = 0, limit } = found.quotas.get(family) ?? {}
      const expected = {
        used: this.#model.used(user, family, this.#now),
        reserved: this.#model.reserved(user, family),
        extra: this.#model.extra(user, family, this.#now),
        openRequests: this.#model.openEntries(user).filter((entry) => entry.family === family).length,
        limit: user.quotaLimits[family],
      }
      assert.deepEqual(
        { used, reserved, extra, openRequests, limit },
        expected,
        `${family} of ${user.accessToken}`,
      )
    }
  }

  /** What an auditor finds in the tables: every request once, with one ending, and counters that are its sums. */
  async #audit(): Promise<void> {
    const { database } = this.#shared
    await assertInvariants(database)
    for (const user of this.#users) {
      const id = this.#ids.get(user)
      const rows = await database.rows(
        `select id, kind, family, state, hold, input_estimate, units, ended_at from entries where user_id = '${id}'`,
      )
      const entries = this.#model.entriesOf(user)
      const requests = entries.filter((entry) => !entry.id.startsWith('adjustment'))
      assert.deepEqual(
        rows
          .filter((row) => row.kind !== 'adjustment')
          .map(toText)
          .toSorted(),
        requests
          .map((entry) =>
            toText({
              id: entry.id,
              kind: entry.isMetered ? 'metered' : 'free',
              family: entry.family,
              state: entry.state,
              hold: entry.hold,
              input_estimate: entry.input,
              units: entry.units,
              ended_at: entry.state === 'open' ? null : entry.endedAt,
            }),
          )
          .toSorted(),
        'each admission has one entry and at most one ending',
      )
      const closed = requests.filter(({ state, isMetered }) => isMetered && state !== 'open')
      const figures = 'requests, input + cache_read + cache_written + output + reasoning + weighing as units'
      const [usage] = await database.rows(
        `select coalesce(sum(requests), 0) as requests, coalesce(sum(units), 0) as units from (
           select ${figures} from usage_minutes where user_id = '${id}'
           union all select ${figures} from usage_hours where user_id = '${id}') as together`,
      )
      const units = closed.reduce((sum, entry) => sum + entry.units, 0)
      const ofRequests = closed.filter((entry) => !entry.id.includes('.'))
      assert.deepEqual({ ...usage }, { requests: ofRequests.length, units }, 'usage is the same sum')
    }
  }

  async #find(user: ModelUser): Promise<User> {
    const found = await this.#shared.store.users.findUser({ accessToken: user.accessToken }, this.#now)
    return found ?? assert.fail(`${user.accessToken} is there`)
  }

  #userAt(index: number): ModelUser {
    return this.#users[index % this.#users.length] ?? assert.fail()
  }

  #editOf(drawn: EditDraw): UserEdit {
    const { disabledIn, expiresIn, limits, ...edit } = drawn
    return {
      ...edit,
      ...(limits && { limits }),
      ...(disabledIn !== undefined && { disabledAt: disabledIn === null ? null : this.#now + disabledIn }),
      ...(expiresIn !== undefined && { expiresAt: expiresIn === null ? null : this.#now + expiresIn }),
    }
  }

  #eventFor({ id, user, family, units }: EventDraw): UsageEvent {
    const known = this.#users[user]
    return {
      eventId: `${this.#name} ${id}`,
      requestId: createRequestId(this.#now).replace('req_', 'evt_'),
      userId: (known && this.#ids.get(known)) ?? 'usr_nobody',
      route: '/usage',
      family,
      model: `${family}-x`,
      usage: { ...noUsage, input: units - Math.floor(units / 3), cacheRead: Math.floor(units / 3) },
      isEstimated: false,
      status: 200,
    }
  }

  #askFor({ user, address, units, isFree, mode }: AskDraw): AdmissionAsk {
    const accessToken = this.#users[user]?.accessToken ?? 'nobody'
    const model = `${units?.family}-x`
    if (mode === 'pass' && units) {
      const { family } = units
      const pass = { model, ...(family !== undefined && { family }) }
      const requestId = createRequestId(this.#now)
      return { requestId, accessToken, address, route: '/auth/verify', isMetered: false, pass }
    }
    return {
      ...(mode === 'dry' && { isDry: true }),
      ...(typeof mode === 'number' && units && { leaseUntil: this.#now + mode }),
      requestId: createRequestId(this.#now),
      accessToken,
      address,
      route: '/v1/messages',
      isMetered: !isFree,
      ...(units && { units: { ...units, model, ...(isFree && { output: 0 }) } }),
    }
  }

  #settlementFor({ which, style, extra, beside }: SettleDraw): Settlement[] {
    if (style === 'unknown') return [settlementOf(unique('never'), 'settled', extra)]
    const entries = [...this.#model.entries.values()]
    const candidates = entries.filter(({ id, state }) => {
      if (style === 'late') return state === 'abandoned'
      if (style !== 'repeated') return state === 'open'
      return (state === 'settled' || state === 'released') && !id.startsWith('adjustment')
    })
    const entry = candidates[which % candidates.length]
    if (!entry) return []
    const ending = style === 'released' ? style : 'settled'
    const settlement = settlementOf(entry.id, ending, unitsFor(entry, style, extra))
    if (beside.length === 0 || !entry.isMetered) return [settlement]
    return [{ ...settlement, beside: beside.map(besideOf) }]
  }
}

function besideOf({ family, units }: SettleDraw['beside'][number]) {
  return { family, model: `${family}-beside`, usage: { ...noUsage, output: units } }
}

function unitsFor(entry: ModelEntry, style: SettleDraw['style'], extra: number): number {
  if (!entry.isMetered || style === 'nothing') return 0
  if (style === 'beyond') return entry.hold + extra
  return style === 'less' ? Math.min(entry.hold, extra) : entry.hold
}

function settlementOf(requestId: string, ending: Settlement['ending'], units: number): Settlement {
  const part = Math.floor(units / 5)
  const usage: Usage = {
    input: part,
    cacheRead: part,
    cacheWritten: part,
    reasoning: part,
    output: units - 4 * part,
  }
  assert.equal(unitsOf(usage), units)
  return { requestId, ending, usage, isEstimated: false, status: 200, durationMs: 5 }
}

/** The earliest that is in the same period as `now`, whichever it is, in zones of whole and half hours. */
function earliestOf(now: number): number {
  return Math.floor(now / halfHourMs) * halfHourMs
}

const latestOf = (entries: readonly ModelEntry[]) => Math.max(0, ...entries.map(({ startedAt }) => startedAt))

const toText = (row: object): string => JSON.stringify(row)

for (const { name, create } of databases) {
  describe(`random histories of accounts on ${name}`, () => {
    const open = new Map<Rules, Shared>()

    async function shareStore(held: Rules): Promise<Shared> {
      const known = open.get(held)
      if (known && known.histories < historiesPerStore) return known
      if (known) await drop(known)
      const database = await create()
      const [first] = held.weights ?? []
      const policy = { ...held.settings, ...(first && { weights: first.settings }) }
      const store = await openStore(database.settings({ policy }))
      const made: Shared = { database, rules: held, store, starts: 0, histories: 0 }
      open.set(held, made)
      return made
    }

    async function drop(shared: Shared): Promise<void> {
      open.delete(shared.rules)
      await shared.store.close()
      await shared.database.remove()
    }

    after(async () => {
      for (const shared of [...open.values()]) await drop(shared)
    })

    it(`answer and count as the model does, ${runs} times`, async () => {
      const play = async (drawn: History) => {
        const held = rules[drawn.policy] ?? assert.fail()
        const shared = await shareStore(held)
        shared.histories += 1
        try {
          await new Run(shared).play(drawn)
        } catch (error) {
          await drop(shared)
          throw error
        }
      }
      await fc.assert(fc.asyncProperty(history, play), parameters(runs))
    })

    it('keep their sums and limits when everything happens at once', async () => {
      const held = rules[0] ?? assert.fail()
      const play = async (drawn: Crowd) => {
        const shared = await shareStore(held)
        shared.histories += 1
        try {
          await playCrowd(shared, drawn)
        } catch (error) {
          await drop(shared)
          throw error
        }
      }
      await fc.assert(fc.asyncProperty(crowd, play), parameters(Math.ceil(runs / 5)))
    })
  })
}

/** No order is known here, so no answer is predicted: only what must hold in whatever order. */
async function playCrowd({ store, database }: Shared, { limit, clients, edits }: Crowd): Promise<void> {
  const accessTokens = [unique('token'), unique('token')]
  const tokenAt = (index: number) => accessTokens[index] ?? assert.fail()
  const written = await store.users.writeUsers(
    accessTokens.map((accessToken) => ({ ref: { accessToken }, edit: { quotaLimits: { claude: limit } } })),
    by(startAt),
  )
  assert.ok(written.kind === 'written')
  const ledger = openLedger(store.metering, () => startAt, { batchMax: 8 })
  const charged = new Map<string, number>()

  async function run({ turns, user, input, used, style }: Crowd['clients'][number]): Promise<void> {
    await take(turns)
    const requestId = createRequestId(startAt)
    const units = { model: 'claude-x', family: 'claude', input, output: undefined, choices: 1 }
    const base = { address: '192.0.2.1', route: '/v1/messages', isMetered: true }
    const outcome = await ledger.admit({ requestId, accessToken: tokenAt(user), ...base, units })
    if (outcome.kind === 'refused') return
    const quota = outcome.quota ?? assert.fail()
    assert.ok(quota.used + quota.reserved <= limit, `${quota.used} + ${quota.reserved} of ${limit}`)
    charged.set(requestId, style === 'released' ? 0 : used)
    await take(turns)
    const settlement = settlementOf(requestId, style, used)
    await Promise.all([ledger.settle(settlement), ledger.settle(settlement)])
  }

  await Promise.all([
    ...clients.map(run),
    ...edits.map(async ({ turns, user, edit }) => {
      await take(turns)
      const { disabledIn: _, expiresIn: __, ...rest } = edit
      await store.users.writeUsers([{ ref: { accessToken: tokenAt(user) }, edit: rest }], by(startAt))
    }),
  ])
  await ledger.close()
  await assertInvariants(database)
  const ids = written.users.map(({ id }) => `'${id}'`).join()
  const rows = await database.rows(
    `select id, state, units from entries where kind <> 'adjustment' and user_id in (${ids})`,
  )
  assert.deepEqual(
    new Map(rows.map(({ id, units }) => [id, units])),
    charged,
    'each admission was charged once',
  )
  assert.ok(rows.every(({ state }) => state !== 'open'))
  const reserved = await database.rows(
    `select reserved from quotas where reserved <> 0 and user_id in (${ids})`,
  )
  assert.deepEqual(reserved, [])
}

async function take(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
