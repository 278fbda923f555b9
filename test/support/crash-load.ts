import { setTimeout as wait } from 'node:timers/promises'

/** A number from 0 to below 1. */
export type Random = () => number

/** The same seed gives the same numbers (mulberry32); the timing between them still differs. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new RangeError('there is nothing to pick from')
  return item
}

/** An answer that a client received completely. */
interface SeenAnswer {
  readonly requestId: string
  /** Undefined for a stream whose client did not ask for its usage. */
  readonly units: number | undefined
}

/** Fields that an administrator sets together, so that a user's row shows which edit it comes from. */
export interface Version {
  readonly adminNote: string
  readonly requestsPerMinute: number
  readonly disabledAt: number | null
}

interface KnownUser {
  readonly accessToken: string
  /** All edits that were sent, in order. */
  readonly versions: Version[]
  /** How many of the edits were answered. */
  acknowledged: number
}

/** What clients and administrators were told, which must survive any crash. */
export interface Told {
  readonly users: Map<string, KnownUser>
  /**
   * By the model's name, which is different for every request and so identifies it at the upstream and in the ledger.
   */
  readonly answers: Map<string, SeenAnswer>
  readonly counts: Record<'whole' | 'streamed' | 'hungUp' | 'refused' | 'edits' | 'away', number>
  /** Answers that no client should get. */
  readonly unexpected: string[]
  /** The longest that a client waited for an answer to begin, milliseconds. */
  slowestMs: number
}

export function tellNothing(): Told {
  const counts = { whole: 0, streamed: 0, hungUp: 0, refused: 0, edits: 0, away: 0 }
  return { users: new Map(), answers: new Map(), counts, unexpected: [], slowestMs: 0 }
}

/** Whether a load of each kind has been answered; `away` is none. */
export function hasEveryKind({ counts: { away: _, ...counts } }: Told): boolean {
  return Object.values(counts).every((count) => count > 0)
}

interface LoadOptions {
  readonly url: string
  readonly adminKey: string
  readonly told: Told
  readonly random: Random
  /** The prefix of this load's marks. */
  readonly mark: string
  readonly isOver: () => boolean
  /** The records of loads on other instances, whose users send requests here as well. */
  readonly others?: readonly Told[]
  /** The store fails now and then: 503 is a valid answer. */
  readonly mayBeAway?: boolean
}

/** Counts a 503 where the store may be away; answers whether it was one. */
async function wasAway({ told, mayBeAway = false }: LoadOptions, status: number): Promise<boolean> {
  if (status !== 503 || !mayBeAway) return false
  told.counts.away += 1
  await wait(20)
  return true
}

const headersOf = (secret: string) => ({
  'content-type': 'application/json',
  authorization: `Bearer ${secret}`,
})

const protocols = [
  { path: '/v1/chat/completions', model: 'gpt-4o-mini', isOpenai: true },
  { path: '/v1/messages', model: 'claude-sonnet-5', isOpenai: false },
] as const

/**
 * Clients of several users and one administrator at once, until it is over. Never rejects: after the crash every
 * failure is expected, and before it a failure is recorded as unexpected.
 */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { random, told, mark, isOver } = options
  async function untilOver(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!isOver()) told.unexpected.push(String(error))
    }
  }
  async function converseOn(client: number): Promise<void> {
    for (let count = 0; !isOver(); count++) await converse(options, `${mark}-${client}-${count}`)
  }
  async function administrate(): Promise<void> {
    while (!isOver()) {
      await (random() < 0.2 ? createUser(options) : editUser(options))
      await wait(random() * 10)
    }
  }
  await untilOver(async () => {
    for (let count = 0; count < 3; count++) await createUser(options)
  })
  const clients = Array.from({ length: 10 }, (_, client) => untilOver(() => converseOn(client)))
  await Promise.all([untilOver(administrate), ...clients])
}

/** Used in turn, so that every load has users who reach their quota. */
const userKinds = [
  { type: 'normal' },
  { type: 'special' },
  { type: 'normal', tokenLimits: { turbo: 100 } },
  { type: 'normal', tokenLimits: { turbo: 20_000 }, concurrentRequests: 2 },
  { type: 'normal', requestsPerMinute: 5 },
]

async function createUser(options: LoadOptions): Promise<void> {
  const { url, adminKey, told } = options
  const made = await fetch(`${url}/admin/users`, {
    method: 'POST',
    headers: headersOf(adminKey),
    body: JSON.stringify(userKinds[told.users.size % userKinds.length]),
  })
  if (await wasAway(options, made.status)) return
  const { token, id } = (await made.json()) as { token: string; id: string }
  told.users.set(id, { accessToken: token, versions: [], acknowledged: 0 })
}

async function editUser(options: LoadOptions): Promise<void> {
  const { url, adminKey, told, random } = options
  const [id, user] = pick(random, [...told.users].slice(-20))
  const version: Version = {
    adminNote: String(user.versions.length + 1),
    requestsPerMinute: 100 + Math.floor(random() * 100),
    disabledAt: random() < 0.1 ? Date.now() : null,
  }
  const more = pick(random, [
    {},
    { tokenLimits: { turbo: 5_000 + Math.floor(random() * 50_000) } },
    { tokenCounts: { turbo: Math.floor(random() * 1000) } },
    { period: pick(random, ['daily', 'monthly', 'none']) },
  ])
  user.versions.push(version)
  const body = { ...version, ...more }
  const isBulk = random() < 0.3
  const answer = await fetch(`${url}/admin/users${isBulk ? '' : `/${id}`}`, {
    method: 'PUT',
    headers: headersOf(adminKey),
    body: JSON.stringify(isBulk ? { users: [{ token: user.accessToken, ...body }] } : body),
  })
  const text = await answer.text()
  if (await wasAway(options, answer.status)) return
  if (answer.status !== 200) told.unexpected.push(text)
  user.acknowledged = user.versions.length
  told.counts.edits += 1
}

async function converse(options: LoadOptions, mark: string): Promise<void> {
  const { url, told, random, isOver, others = [] } = options
  const { path, model: base, isOpenai } = pick(random, protocols)
  const model = `${base}@mark=${mark}; units=${5 + Math.floor(random() * 40)}`
  const { users } = pick(
    random,
    [told, ...others].filter((each) => each.users.size > 0),
  )
  const { accessToken } = pick(random, [...users.values()].slice(-20))
  const isStream = random() < 0.5
  const asksUsage = isStream && isOpenai && random() < 0.5
  const hangUp = new AbortController()
  const patience = random() < 0.25 ? setTimeout(() => hangUp.abort(), random() * 60) : undefined
  const askedAt = performance.now()
  try {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: headersOf(accessToken),
      signal: hangUp.signal,
      body: JSON.stringify({
        model,
        stream: isStream,
        max_tokens: 100,
        messages: [{ role: 'user', content: 'one two three' }],
        ...(asksUsage && { stream_options: { include_usage: true } }),
      }),
    })
    told.slowestMs = Math.max(told.slowestMs, performance.now() - askedAt)
    const text = await answer.text()
    if (await wasAway(options, answer.status)) return
    if (answer.status === 403 || answer.status === 429) told.counts.refused += 1
    else if (answer.status !== 200) told.unexpected.push(`${answer.status} ${text}`)
    // The stream of a user who is disabled meanwhile ends with a message that says so.
    else if (!isStream || /\[DONE\]|message_stop/.test(text)) {
      const requestId = answer.headers.get('x-request-id') ?? ''
      told.answers.set(model, { requestId, units: unitsIn(text, isOpenai) })
      told.counts[isStream ? 'streamed' : 'whole'] += 1
    }
  } catch (error) {
    if (!hangUp.signal.aborted) throw error
    told.counts.hungUp += isOver() ? 0 : 1
  } finally {
    clearTimeout(patience)
  }
}

function unitsIn(text: string, isOpenai: boolean): number | undefined {
  const last = (name: string) => [...text.matchAll(new RegExp(`"${name}":\\s*(\\d+)`, 'g'))].at(-1)?.[1]
  if (isOpenai) {
    const total = last('total_tokens')
    return total === undefined ? undefined : Number(total)
  }
  return Number(last('input_tokens')) + Number(last('output_tokens'))
}
