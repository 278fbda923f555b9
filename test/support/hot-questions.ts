import type { AdmissionAsk } from '#core/admission-ask.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { MeteringBatch } from '#storage/store/metering.ts'
import type { Store } from '#storage/store.ts'
import { by } from './by.ts'
import { frontEndSettings } from './front-end.ts'
import { newUserId } from './ledger.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** The parts of a store that can be asked; a partial store is enough. */
export interface Asked
  extends Pick<Store, 'users' | 'upkeep' | 'usage' | 'requests' | 'changes'>,
    Partial<Pick<Store, 'frontEnds'>> {
  readonly metering: Pick<Store['metering'], 'runBatch' | 'renewLease' | 'abandonEntries'>
}

export interface Known {
  readonly now: number
  /** Names an existing user. */
  readonly accessTokenAt: (number: number) => string
  readonly userIdAt: (number: number) => string
}

const usage = { input: 0, cacheRead: 0, cacheWritten: 0, output: 5, reasoning: 0 }
const question = { bucket: 'hour', groupBy: [], limit: 100 } as const

/** What requests and other gateways ask all day: it runs each statement of the ledger. */
export async function askMetering(store: Asked, { now, accessTokenAt, userIdAt }: Known): Promise<void> {
  const run = (batch: Partial<MeteringBatch>) =>
    store.metering.runBatch({ now, settlements: [], asks: [], ...batch })
  const id = (prefix: string) => createSortableId(prefix, now)
  const units = { model: 'claude-x', family: 'claude', input: 10, output: 10, choices: 1 }
  const ask = { address: '198.51.100.1', route: '/v1/messages', isMetered: true, units }
  const whose = (index: number) =>
    index % 2 === 0 ? { accessToken: accessTokenAt(index) } : { userId: userIdAt(index) }
  const asks = Array.from({ length: 20 }, (_, index) => ({
    ...{ ...ask, ...whose(index), requestId: id('req_'), address: `198.51.100.${index}` },
    ...(index > 15 && { leaseUntil: now + hourMs }),
  }))
  const outcomes = (await run({ asks })).asks
  if (outcomes.some(({ kind }) => kind !== 'admitted')) throw new Error('a question was refused')
  // A request whose body took a minute to arrive.
  await run({ asks: [{ ...ask, ...whose(0), requestId: createSortableId('req_', now - minuteMs) }] })
  const strange = { ...units, family: id('never-used-') }
  await run({ asks: [{ ...ask, ...whose(0), requestId: id('req_'), units: strange }] })
  const [leased, relayed] = [asks.filter(isLeased), asks.filter((one) => !isLeased(one))]
  await run({
    // The last settlement is for an entry that this process has not opened.
    settlements: [...relayed.map(({ requestId }) => requestId), id('req_')].map((requestId) => ({
      ...{ requestId, ending: 'settled', usage, isEstimated: false, status: 200, durationMs: 1 },
    })),
    events: Array.from({ length: 5 }, (_, index) => ({
      ...{ eventId: id(''), requestId: id('evt_'), userId: userIdAt(index), route: '/verifier/usage' },
      ...{ family: 'claude', model: 'claude-x', usage, isEstimated: false, status: 200 },
    })),
  })
  for (const { requestId } of leased) await store.metering.renewLease(requestId, now + 2 * hourMs)
  const userId = await newUserId(store, now, { limits: { maxIps: 1, ipLimitAction: 'disable' } })
  const elsewhere = ['192.0.2.1', '192.0.2.2'].map((address) => ({ ...ask, userId, address }))
  for (const one of elsewhere) await run({ asks: [{ ...one, requestId: id('req_') }] })
  if (store.frontEnds) await askForPerson(store.frontEnds)

  async function askForPerson(frontEnds: Store['frontEnds']): Promise<void> {
    const frontEndId = await newUserId(store, now)
    const set = await frontEnds.setFrontEnd(frontEndId, frontEndSettings(), { kind: 'none' }, by(now))
    const taken = await frontEnds.takePerson(frontEndId, { person: 'ann' }, by(now))
    if (typeof set === 'string' || taken.kind !== 'taken') throw new Error('no person was made')
    const person = { frontEndId, version: set.version, userId: taken.userId }
    const requestId = id('req_')
    const [outcome] = (await run({ asks: [{ ...ask, userId: frontEndId, person, requestId }] })).asks
    if (outcome?.kind !== 'admitted') throw new Error('a person was refused')
    const beside = [{ family: 'gpt4', model: 'gpt-4o', usage }]
    const ended = { ending: 'settled', usage, isEstimated: false, status: 200, durationMs: 1 } as const
    await run({ settlements: [{ ...ended, requestId, beside }] })
  }
}

const isLeased = (ask: AdmissionAsk) => ask.leaseUntil !== undefined

/** An administrator's questions about one user, and lists that an index keeps in order. */
export async function askUsers({ users }: Asked, { now, accessTokenAt, userIdAt }: Known): Promise<void> {
  const ref = { id: userIdAt(30) }
  const byToken = { accessToken: accessTokenAt(31) }
  await users.findUser(ref, now)
  await users.findUser(byToken, now)
  await users.knowsAccessToken(accessTokenAt(32))
  for (const field of ['createdAt', 'expiresAt', 'nickname'] as const)
    for (const descending of [false, true]) {
      const sort = { field, descending }
      const page = await users.listUsers({ sort, limit: 50, now })
      await users.listUsers({ sort, limit: 50, now, ...(page.next && { after: page.next }) })
    }
  const repeat = { key: createSortableId('', now), fingerprint: 'x' }
  await users.insertUser({ nickname: 'fresh', addresses: ['192.0.2.1'] }, by(now), repeat)
  await users.insertUser({ nickname: 'fresh' }, by(now), repeat)
  await users.writeUsers([{ ref, edit: { nickname: 'other', quotaUsed: { claude: 7 } } }], by(now))
  await users.writeUsers([{ ref: byToken, edit: { addresses: ['192.0.2.9'] } }], by(now))
  for (const period of ['monthly', 'daily'] as const)
    await users.writeUsers([{ ref, edit: { limits: { period } } }], by(now))
  await users.addToQuota(ref, { family: 'claude', units: 5 }, by(now), {
    ...repeat,
    key: `${repeat.key}-more`,
  })
  await users.resetUsage({ families: 'all', after: userIdAt(40).slice(0, -1), limit: 50 }, by(now))
  await users.resetUsage({ families: ['claude'], after: userIdAt(40).slice(0, -1), limit: 50 }, by(now))
  const tagged = { adminNote: 'noted', meta: { team: 'blue' }, tags: ['few', 'other'] }
  await users.writeUsers([{ ref, edit: tagged }], by(now))
  await users.writeUsers([{ ref, edit: { ...tagged, tags: ['few'] } }], by(now))
  await users.listUsers({ filter: { tags: ['few'] }, limit: 50, now })
  await users.countUsers({ tags: ['few'] }, now)
  await users.disableUser({ id: userIdAt(33) }, 'no reason', by(now))
}

export async function askUsage({ usage }: Asked, { now, userIdAt }: Known): Promise<void> {
  const [from, to] = [now - 2 * dayMs, now]
  const userId = userIdAt(0)
  for (const bucket of ['minute', 'hour', 'day'] as const) {
    await usage.readUsage({ ...question, bucket, from, to, userId })
    await usage.readUsage({ ...question, bucket, from, to, userId, groupBy: ['model'] })
    await usage.readUsage({ ...question, bucket, from: to - 2 * hourMs, to })
    await usage.readUsage({ ...question, bucket, from: to - 2 * hourMs, to, groupBy: ['model', 'status'] })
  }
}

/** Lists of requests that a key or an index finds completely. */
export async function askRequests({ requests }: Asked, { now, userIdAt }: Known): Promise<void> {
  const userId = userIdAt(0)
  const { requests: newest, next } = await requests.listRequests({ filter: {}, limit: 50 })
  await requests.findRequest(newest[0]?.id ?? createSortableId('req_', now))
  const after = next === undefined ? {} : { after: next }
  for (const filter of [{}, { from: now - dayMs, to: now - hourMs }]) {
    await requests.listRequests({ filter, limit: 50, ...after })
    await requests.listRequests({ filter: { ...filter, userId }, limit: 50, ...after })
  }
  for (const filter of [
    { userId, model: 'claude-x', status: 200 },
    { userId, state: 'settled' as const },
  ])
    await requests.listRequests({ filter, limit: 50 })
}

/** Pages of changes by each filter, from the newest on and since yesterday, and the page behind each. */
export async function askChanges({ changes }: Asked, { now, userIdAt }: Known): Promise<void> {
  const filters = [
    {},
    { object: userIdAt(0) },
    { actor: 'adk_often' },
    { actor: 'adk_rare' },
    { actorKind: 'admin_key' },
    { actorKind: 'limit' },
    { kind: 'user.updated' },
    { kind: 'login.failed' },
  ]
  for (const time of [{}, { from: now - dayMs }])
    for (const filter of filters) {
      const question = { filter: { ...filter, ...time }, limit: 50 }
      const { next } = await changes.listChanges(question)
      if (next !== undefined) await changes.listChanges({ ...question, before: next })
    }
}

/** A time long ago: changes are in the order in which they were written, which a clock that was set back leaves. */
export async function siftChanges({ changes }: Asked, { now }: Known): Promise<void> {
  for (const filter of [{ to: now - 300 * dayMs }, { from: now - 200 * dayMs, to: now - 100 * dayMs }])
    await changes.listChanges({ filter, limit: 50 })
}

/** Lists of requests that are searched for among the newest entries, or among all open ones. */
export async function siftRequests({ requests }: Asked, { userIdAt }: Known): Promise<void> {
  for (const filter of [{ model: 'rare' }, { status: 429 }, { code: 'quota_exceeded' }, { upstream: '' }])
    await requests.listRequests({ filter, limit: 50 })
  for (const whose of [{}, { userId: userIdAt(0) }])
    await requests.listRequests({ filter: { state: 'open', ...whose }, limit: 50 })
}

/** One batch of each kind of upkeep, in the background's order; answers how many rows each one changed. */
export async function askUpkeep(
  { upkeep, metering }: Asked,
  { now }: Known,
  limit: number,
): Promise<Readonly<Record<string, number>>> {
  return {
    abandoned: await metering.abandonEntries(now, 15_000),
    gathered: await upkeep.gatherUsage(now - dayMs, limit),
    requests: await upkeep.gatherRequests(now + minuteMs, limit / 10),
    minutes: await upkeep.purgeMinutes(now - 7 * dayMs, limit),
    entries: await upkeep.purgeEntries(now - 30 * dayMs, limit),
    events: await upkeep.purgeEvents(now - 30 * dayMs, limit),
    users: await upkeep.purgeUsers(now - 30 * dayMs, limit, by(now)),
    addresses: await upkeep.purgeAddresses(now, limit),
  }
}
