import assert from 'node:assert/strict'
import { createUserWire } from '#admin/users/wire.ts'
import { defaultNames } from '#config/file.ts'
import { builtInFamilies } from '#core/family.ts'
import { limitRows } from '#core/limits.ts'
import type { Answer } from './gateway-client.ts'
import { waitUntil } from './gateway-harness.ts'
import { type Ask, homeAddress, type World, type WorldUser } from './limit-world.ts'

/** How one limit is tested: it is set, one request reaches it, and the next one is refused. */
export interface LimitCase {
  /** The name in the admin API. */
  readonly field: string
  readonly name: string
  readonly set: (now: number) => object
  /** The same limit in the configuration; absent where it has no such default. */
  readonly byDefault?: object
  /** The user's other fields, in both ways of setting the limit. */
  readonly base?: object
  readonly first?: Ask
  /** The first request still runs when the next one arrives. */
  readonly isHeld?: boolean
  readonly between?: (world: World, user: WorldUser) => unknown
  readonly beyond?: Ask
  readonly refused: {
    readonly status: number
    /** The code in the client's protocol. */
    readonly code: string
    /** A part of the limit's description in the refusal. */
    readonly limit?: (now: number) => object
  }
  /** Whether it applies to special users as well; only for a field that is no row of the table of limits. */
  readonly special?: 'exempt' | 'held'
  /** What else holds after the refusal; the user is as the refusal left it. */
  readonly after?: (world: World, user: WorldUser) => Promise<unknown>
}

/** Whether special users are exempt from a case's limit, or held to it. */
export function specialOf({ field, special }: LimitCase): 'exempt' | 'held' {
  const row = limitRows.find(([name]) => name === field)?.[1]
  assert.ok((row === undefined) !== (special === undefined), `${field}: said once, here or in the table`)
  return row?.special ?? special ?? 'held'
}

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]

/** Room for one request, but not for two. */
const quota = { gpt4: 100 }
const spent = { status: 429, code: 'insufficient_quota' }
const elsewhere = '198.51.100.7'

export async function expectAnswer(
  world: World,
  user: WorldUser,
  ask: Ask,
  expected: readonly [number, string?],
): Promise<Answer> {
  const answer = await world.ask(user, ask)
  const { status, text } = answer
  const code: unknown = status === 200 ? undefined : JSON.parse(text).error.code
  assert.deepEqual([status, code], [expected[0], expected[1]], text)
  return answer
}

/** The first instant of the next period, computed without the program's calendar. */
const ends: Readonly<Record<string, (now: number) => number>> = {
  hourly: (now) => Math.floor(now / hourMs + 1) * hourMs,
  daily: (now) => Math.floor(now / dayMs + 1) * dayMs,
  // 1970-01-05 was the first Monday.
  weekly: (now) => (Math.floor((now / dayMs - 4) / 7 + 1) * 7 + 4) * dayMs,
  monthly: (now) => Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth() + 1, 1),
}

const periodCases = Object.entries(ends).map(
  ([period, endOf]): LimitCase => ({
    field: 'period',
    name: `period ${period}`,
    base: { tokenLimits: quota },
    set: () => ({ period }),
    byDefault: { period },
    refused: { ...spent, limit: (now) => ({ name: 'quota', resetAt: endOf(now) }) },
    async after(world, user) {
      const end = endOf(world.clock.now)
      world.clock.now = end - 1
      await expectAnswer(world, user, {}, [429, spent.code])
      world.clock.now = end
      await expectAnswer(world, user, {}, [200])
      await expectAnswer(world, user, {}, [429, spent.code])
    },
  }),
)

const placeRefused = (limit: number) => ({
  status: 403,
  code: 'address_limit',
  limit: () => ({ name: 'maxIps', limit, used: limit }),
})

export const limitCases: readonly LimitCase[] = [
  {
    field: 'tokenLimits',
    name: 'a quota of its own family',
    set: () => ({ tokenLimits: quota }),
    byDefault: { limits: quota },
    refused: { ...spent, limit: () => ({ name: 'quota', family: 'gpt4', limit: 100, reserved: 0 }) },
    special: 'exempt',
    async after(world, user) {
      await expectAnswer(world, user, { model: 'claude-x' }, [200])
      const body = { family: 'gpt4', units: 60 }
      assert.equal((await world.admin('POST', `/admin/users/${user.id}/quota/add`, body)).status, 200)
      await expectAnswer(world, user, {}, [200])
      await expectAnswer(world, user, {}, [429, spent.code])
      assert.equal((await world.admin('POST', `/admin/users/${user.id}/quota/reset`)).status, 200)
      await expectAnswer(world, user, {}, [200])
    },
  },
  ...periodCases,
  {
    field: 'period',
    name: 'period none',
    base: { tokenLimits: quota },
    set: () => ({ period: 'none' }),
    byDefault: { period: 'none' },
    refused: { ...spent, limit: () => ({ name: 'quota' }) },
    async after(world, user) {
      world.clock.now += 400 * dayMs
      await expectAnswer(world, user, {}, [429, spent.code])
    },
  },
  {
    field: 'requestsPerMinute',
    name: 'requests per minute',
    set: () => ({ requestsPerMinute: 1 }),
    byDefault: { requestsPerMinute: 1 },
    refused: {
      status: 429,
      code: 'rate_limit_exceeded',
      limit: (now) => ({ name: 'requestsPerMinute', limit: 1, used: 1, resetAt: now + minuteMs }),
    },
    async after(world, user) {
      world.clock.now += minuteMs - 1
      await expectAnswer(world, user, {}, [429, 'rate_limit_exceeded'])
      world.clock.now += 1
      await expectAnswer(world, user, {}, [200])
    },
  },
  {
    field: 'concurrentRequests',
    name: 'requests at once',
    set: () => ({ concurrentRequests: 1 }),
    byDefault: { concurrentRequests: 1 },
    isHeld: true,
    refused: {
      status: 429,
      code: 'concurrency_limit_exceeded',
      limit: () => ({ name: 'concurrentRequests', limit: 1, used: 1 }),
    },
    after: (world, user) => expectAnswer(world, user, {}, [200]),
  },
  {
    field: 'maxIps',
    name: 'addresses',
    set: () => ({ maxIps: 1 }),
    byDefault: { maxIps: 1 },
    beyond: { address: elsewhere },
    refused: placeRefused(1),
    after: (world, user) => expectAnswer(world, user, {}, [200]),
  },
  {
    field: 'maxIps',
    name: 'an IPv6 /64 is one address',
    set: () => ({ maxIps: 1 }),
    byDefault: { maxIps: 1 },
    first: { address: '2001:db8::1' },
    between: (world, user) => expectAnswer(world, user, { address: '2001:db8::ffff:1' }, [200]),
    beyond: { address: '2001:db8:0:1::1' },
    refused: placeRefused(1),
  },
  {
    field: 'ipWindowDays',
    name: 'addresses within a window',
    base: { maxIps: 1 },
    set: () => ({ ipWindowDays: 2 }),
    byDefault: { ipWindowDays: 2 },
    async between(world, user) {
      // Seen again, the address counts from now on.
      world.clock.now += dayMs
      await expectAnswer(world, user, {}, [200])
      world.clock.now += dayMs + hourMs
    },
    beyond: { address: elsewhere },
    refused: placeRefused(1),
    async after(world, user) {
      world.clock.now += dayMs
      await expectAnswer(world, user, { address: elsewhere }, [200])
      await expectAnswer(world, user, {}, [403, 'address_limit'])
    },
  },
  {
    field: 'ipLimitAction',
    name: 'an address too many is refused',
    base: { maxIps: 1 },
    set: () => ({ ipLimitAction: 'refuse' }),
    byDefault: { ipLimitAction: 'refuse' },
    beyond: { address: elsewhere },
    refused: placeRefused(1),
    after: (world, user) => expectAnswer(world, user, {}, [200]),
  },
  {
    field: 'ipLimitAction',
    name: 'an address too many disables the user, and cuts what runs',
    base: { maxIps: 1 },
    set: () => ({ ipLimitAction: 'disable' }),
    byDefault: { ipLimitAction: 'disable' },
    beyond: { address: elsewhere },
    refused: placeRefused(1),
    async after(world, user) {
      await expectAnswer(world, user, {}, [403, 'user_disabled'])
      const path = `/admin/users/${user.id}`
      const read = JSON.parse((await world.admin('GET', path)).text)
      assert.deepEqual([read.disabledAt, read.disabledReason], [world.clock.now, 'IP address limit exceeded'])
      // The stream that is cut comes from the proxy's own address, which is then the user's only one.
      await world.admin('PUT', path, { disabledAt: null, ip: [] })
      const held = await world.hold(user)
      await expectRefusedWhile(world, user, [403, 'address_limit'])
      await waitUntil(() => /IP address limit exceeded/.test(held.received()), 'the stream is cut', 1000)
      await held.end()
      await expectAnswer(world, user, {}, [403, 'user_disabled'])
    },
  },
  {
    field: 'allowedNetworks',
    name: 'networks',
    set: () => ({ allowedNetworks: ['192.0.2.0/24', '2001:db8::/32'] }),
    byDefault: { allowedNetworks: ['192.0.2.0/24', '2001:db8::/32'] },
    beyond: { address: elsewhere },
    refused: { status: 403, code: 'address_not_allowed' },
    async after(world, user) {
      await expectAnswer(world, user, { address: '2001:db8:7::1' }, [200])
      await expectAnswer(world, user, { address: '2001:db9::1' }, [403, 'address_not_allowed'])
    },
  },
  {
    field: 'allowedModels',
    name: 'models by glob',
    set: () => ({ allowedModels: ['gpt-4o*'] }),
    byDefault: { allowedModels: ['gpt-4o*'] },
    beyond: { model: 'gpt-4.1' },
    refused: { status: 404, code: 'model_not_found' },
  },
  {
    field: 'allowedModels',
    name: 'models by family',
    set: () => ({ allowedModels: ['claude'] }),
    byDefault: { allowedModels: ['claude'] },
    first: { model: 'claude-x' },
    beyond: { model: 'gpt-4o' },
    refused: { status: 404, code: 'model_not_found' },
  },
  {
    field: 'expiresAt',
    name: 'an end by date',
    set: (now) => ({ expiresAt: now + minuteMs }),
    between: (world) => {
      world.clock.now += minuteMs
    },
    refused: { status: 403, code: 'user_expired' },
    special: 'held',
  },
  {
    field: 'disabledAt',
    name: 'disabled from an instant on',
    set: (now) => ({ disabledAt: now + minuteMs, disabledReason: 'until here' }),
    between: (world) => {
      world.clock.now += minuteMs
    },
    refused: { status: 403, code: 'user_disabled' },
    special: 'held',
    async after(world, user) {
      assert.match((await world.ask(user)).text, /until here/)
    },
  },
  {
    field: 'type',
    name: 'a normal user is held to limits',
    base: { tokenLimits: quota },
    set: () => ({ type: 'normal' }),
    refused: spent,
    special: 'exempt',
  },
  {
    field: 'type',
    name: 'a temporary user is held to limits',
    base: { tokenLimits: quota },
    set: (now) => ({ type: 'temporary', expiresAt: now + minuteMs }),
    refused: spent,
    special: 'exempt',
    async after(world, user) {
      world.clock.now += minuteMs
      await expectAnswer(world, user, {}, [403, 'user_expired'])
    },
  },
]

async function expectRefusedWhile(world: World, user: WorldUser, [status, code]: readonly [number, string]) {
  const answer = await world.askNow(user, { address: homeAddress })
  assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [status, code], answer.text)
}

/** Fields of an edit that are not limits. Any other field is one, and needs a case. */
const noLimits = [
  'token',
  'ip',
  'nickname',
  'promptCount',
  'tokenCounts',
  'createdAt',
  'lastUsedAt',
  'disabledReason',
  'adminNote',
  'tags',
  'meta',
]

/** Fields of the admin API's schema that limit a user. */
export function limitFields(): readonly string[] {
  const fields = Object.keys(createUserWire(builtInFamilies).schemas.edit.shape)
  assert.deepEqual(
    noLimits.filter((name) => !fields.includes(name)),
    [],
    'fields that are no limits are fields',
  )
  return fields.filter((name) => !noLimits.includes(name))
}

/** Limits of a user without a case. */
export function fieldsWithoutCase(fields: readonly string[], cases: readonly LimitCase[]): readonly string[] {
  return fields.filter((field) => !cases.some((each) => each.field === field))
}

/** Keys of the configuration's `defaults` without a case; some are tested elsewhere. */
export function defaultsWithoutCase(
  cases: readonly LimitCase[],
  apart: readonly string[],
  names: readonly string[] = defaultNames,
): readonly string[] {
  const shown = new Set([...apart, ...cases.flatMap(({ byDefault = {} }) => Object.keys(byDefault))])
  return names.filter((name) => !shown.has(name))
}
