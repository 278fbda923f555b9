import { setTimeout as wait } from 'node:timers/promises'
import type { Account } from './account.ts'
import { ask, type Protocol, relayOf } from './client.ts'

/** All clients at the same time, from one address: a bounded load, since the soak measures endurance and not speed. */
export interface Soaked {
  readonly url: string
  readonly adminKey: string
  readonly verifierKey: string
  /** An access token that was valid once. */
  readonly staleToken: string
  readonly account: Account
  readonly isOver: () => boolean
  /** Told how long each answer to the good client took. */
  readonly goodTook: (ms: number) => void
}

/** The users, by their role; the usage of `edited` and `cut` is not known to their clients. */
export const groups = { good: 1, plain: 50, streaming: 50, reported: 200, cut: 20, edited: 40 } as const
export type Group = keyof typeof groups
export const nameOf = (group: Group, index: number) => `soak-${group}-${index % groups[group]}`
/** The users whose clients know all of their usage. */
export const exact: readonly Group[] = ['good', 'plain', 'streaming', 'reported']

const eventsABatch = 50
const protocolOf = (index: number): Protocol => (index % 2 === 0 ? 'openai' : 'anthropic')
const between = (least: number, most: number) => Math.round(least + Math.random() * (most - least))
const pick = <T>(values: readonly T[]): T | undefined => values[Math.floor(Math.random() * values.length)]

/** Runs until the time is over and the last answer has come. */
export async function runSoak(soaked: Soaked): Promise<void> {
  const many = (count: number, run: (index: number) => Promise<void>) =>
    Array.from({ length: count }, (_, index) => run(index))
  const workers = [
    ...many(6, (index) => relays(soaked, 'plain', index)),
    ...many(16, (index) => relays(soaked, 'streaming', index)),
    ...many(6, (index) => cuts(soaked, index)),
    ...many(2, (index) => edited(soaked, index)),
    good(soaked),
    forgotten(soaked),
    edits(soaked),
    reports(soaked),
  ]
  await Promise.all(workers)
}

async function relays(
  { url, account, isOver }: Soaked,
  group: 'plain' | 'streaming',
  worker: number,
): Promise<void> {
  for (let number = worker; !isOver(); number += 7) {
    const key = nameOf(group, number)
    const told = await ask(url, relayOf(protocolOf(number), key, group === 'streaming')).catch(
      () => undefined,
    )
    account.answered(group, told?.status ?? 0)
    if (told) account.add(key, told.units)
    await wait(between(50, 250))
  }
}

/** Streams whose client goes away in the middle. */
async function cuts({ url, account, isOver }: Soaked, worker: number): Promise<void> {
  for (let number = worker; !isOver(); number += 7) {
    const signal = AbortSignal.timeout(between(20, 900))
    const question = relayOf(protocolOf(number), nameOf('cut', number), true)
    const told = await ask(url, { ...question, signal }).catch(() => undefined)
    account.answered('cut', told?.status ?? 0)
    await wait(between(50, 250))
  }
}

/** Requests of users that are being edited: disabled ones are refused, and their streams end early. */
async function edited({ url, account, isOver }: Soaked, worker: number): Promise<void> {
  for (let number = worker; !isOver(); number += 7) {
    const question = relayOf(protocolOf(number), nameOf('edited', number), number % 3 === 0)
    const told = await ask(url, question).catch(() => undefined)
    account.answered('edited', told?.status ?? 0)
    await wait(between(50, 250))
  }
}

async function good({ url, account, isOver, goodTook }: Soaked): Promise<void> {
  const key = nameOf('good', 0)
  for (let number = 0; !isOver(); number++) {
    const begin = performance.now()
    const told = await ask(url, relayOf(protocolOf(number), key, false)).catch(() => undefined)
    goodTook(performance.now() - begin)
    account.answered('good', told?.status ?? 0)
    if (told) account.add(key, told.units)
    await wait(Math.max(0, 200 - (performance.now() - begin)))
  }
}

/** A forgotten client with an access token that is no longer valid. */
async function forgotten({ url, account, staleToken, isOver }: Soaked): Promise<void> {
  while (!isOver()) {
    const told = await ask(url, relayOf('openai', staleToken, false)).catch(() => undefined)
    account.answered('forgotten', told?.status ?? 0)
    await wait(200)
  }
}

/** Five edits a second, of every kind. */
async function edits({ url, adminKey, account, isOver }: Soaked): Promise<void> {
  for (let number = 0; !isOver(); number++) {
    const path = `/admin/users/${nameOf('edited', number)}`
    const put = (body: object) => ({ method: 'PUT', path, body })
    const question = pick([
      put({ nickname: `edited ${number}` }),
      put({ disabledAt: Date.now() }),
      put({ disabledAt: null }),
      put({ disabledAt: null, tokenLimits: { gpt4: 1e9 + number } }),
      { method: 'DELETE', path },
      { path: `${path}/quota/reset`, body: {} },
      {
        path: '/admin/users',
        body: { nickname: `made ${number}`, type: 'temporary', expiresAt: Date.now() + 60_000 },
      },
      { path: '/admin/users?limit=20&q=edited' },
      {
        ...{ method: 'PUT', path: '/admin/users' },
        body: {
          users: Array.from({ length: groups.edited }, (_, index) => ({
            token: nameOf('edited', index),
            disabledAt: null,
          })),
        },
      },
    ])
    if (!question) continue
    const told = await ask(url, { ...question, key: adminKey }).catch(() => undefined)
    account.answered('admin', told?.status ?? 0)
    await wait(200)
  }
}

/** 300 events a second; some of the batches are sent again, as after an answer that was lost. */
async function reports({ url, verifierKey, account, isOver }: Soaked): Promise<void> {
  for (let batch = 0; !isOver(); batch++) {
    const begin = performance.now()
    const body = Array.from({ length: eventsABatch }, (_, index) => ({
      id: `event-${batch}-${index}`,
      token: nameOf('reported', batch * eventsABatch + index),
      ...{ model: index % 2 === 0 ? 'gpt-4o' : 'claude-sonnet-4', units: 1 + ((batch + index) % 997) },
    }))
    const send = () => ask(url, { path: '/usage', key: verifierKey, body }).catch(() => undefined)
    const told = await send()
    account.answered('report', told?.status ?? 0)
    if (told?.status === 200) for (const { token, units } of body) account.add(token, units)
    if (batch % 10 === 0) account.answered('report again', (await send())?.status ?? 0)
    await wait(Math.max(0, (1000 * eventsABatch) / 300 - (performance.now() - begin)))
  }
}
