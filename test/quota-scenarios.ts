import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'
import { startAt } from './support/admin-server.ts'

/** What looking after quotas answers; played with the contract's scenarios, by the same rules. */
const put = (name: string, body: unknown): Step => ({
  send: { method: 'PUT', path: `/admin/users/${name}`, body },
  status: 200,
})
const read = (name: string, status: number, answer?: unknown): Step => ({
  send: { method: 'GET', path: `/admin/users/${name}/quota` },
  status,
  answer,
})
const reset = (name: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: {
    method: 'POST',
    path: `/admin/users/${name}/quota/reset`,
    ...(body !== undefined && { body }),
  },
  status,
  answer,
})
const add = (name: string, body: unknown, status: number, answer?: unknown, key?: string): Step => ({
  send: {
    method: 'POST',
    path: `/admin/users/${name}/quota/add`,
    ...(body !== undefined && { body }),
    ...(key !== undefined && { headers: { 'idempotency-key': key } }),
  },
  status,
  answer,
})
const resetAll = (body: unknown, status: number, answer?: unknown): Step => ({
  send: { method: 'POST', path: '/admin/quota/reset', ...(body !== undefined && { body }) },
  status,
  answer,
})
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})

const unused = { extra: 0, used: 0, reserved: 0, openRequests: 0 }
const noLimit = { limit: absent, ownLimit: absent, remaining: absent }
/** Families in their order; those that a scenario says nothing of are unlimited and unused. */
const families = (said: Readonly<Record<string, object>>) =>
  ['gpt4-32k', 'turbo', 'gpt4', 'claude'].map((family) => ({
    family,
    ...unused,
    ...(said[family] ?? noLimit),
  }))

const dayMs = 86_400_000

export const quotaScenarios: readonly Scenario[] = [
  {
    name: 'the quotas of a user who never used anything',
    steps: [
      put('quota-none', {}),
      read('quota-none', 200, { period: 'none', resetAt: absent, families: families({}) }),
    ],
  },
  {
    name: 'what is used, allowed and left, until when',
    steps: [
      put('quota-some', {
        period: 'daily',
        tokenLimits: { turbo: 100, claude: 0, gpt4: -1 },
        tokenCounts: { turbo: 30, gpt4: 7 },
      }),
      read('{id:quota-some}', 200, {
        period: 'daily',
        resetAt: startAt + dayMs,
        families: families({
          turbo: { limit: 100, ownLimit: 100, used: 30, remaining: 70, resetAt: startAt + dayMs },
          gpt4: { used: 7, limit: absent, ownLimit: -1, remaining: absent },
          claude: { limit: 0, ownLimit: 0, remaining: 0 },
        }),
      }),
    ],
  },
  {
    name: 'nothing is left of a limit that was lowered below what was used',
    steps: [
      put('quota-low', { tokenLimits: { turbo: 10 }, tokenCounts: { turbo: 30 } }),
      read('quota-low', 200, { families: families({ turbo: { limit: 10, used: 30, remaining: 0 } }) }),
    ],
  },
  {
    name: 'a reset of some families, and of all',
    steps: [
      put('quota-reset', { tokenCounts: { turbo: 5, gpt4: 6, claude: 7 } }),
      reset('quota-reset', { families: ['turbo', 'gpt4-32k'] }, 200, {
        families: families({ gpt4: { used: 6 }, claude: { used: 7 } }),
      }),
      reset('quota-reset', undefined, 200, { families: families({}) }),
      reset('quota-reset', {}, 200, { families: families({}) }),
    ],
  },
  {
    name: 'neither a reset nor an addition is another version of the user',
    steps: [
      put('quota-etag', { tokenLimits: { turbo: 9 }, tokenCounts: { turbo: 5 } }),
      reset('quota-etag', undefined, 200),
      add('quota-etag', { family: 'turbo', units: 4 }, 200),
      {
        send: { method: 'GET', path: '/admin/users/quota-etag' },
        status: 200,
        answer: { tokenLimits: { turbo: 9 }, tokenCounts: { turbo: 0 } },
        headers: { etag: '"1"' },
      },
    ],
  },
  {
    name: 'adding for this period, and taking back no more than was added',
    steps: [
      put('quota-add', { period: 'daily', tokenLimits: { turbo: 100 }, tokenCounts: { turbo: 100 } }),
      add('quota-add', { family: 'turbo', units: 50 }, 200, {
        families: families({ turbo: { limit: 150, ownLimit: 100, extra: 50, used: 100, remaining: 50 } }),
      }),
      add('quota-add', { family: 'turbo', units: -20 }, 200, {
        families: families({ turbo: { limit: 130, extra: 30, used: 100 } }),
      }),
      add('quota-add', { family: 'turbo', units: -31 }, 400, issue('units', /only 30 were added/)),
      reset('quota-add', undefined, 200, {
        families: families({ turbo: { limit: 130, extra: 30, used: 0, remaining: 130 } }),
      }),
      {
        ...read('quota-add', 200, { families: families({ turbo: { limit: 100, extra: 0 } }) }),
        afterMs: dayMs,
      },
      add('quota-add', { family: 'turbo', units: -1 }, 400, issue('units', /only 0 were added/)),
    ],
  },
  {
    name: 'a limit of the configuration is one to add to, no limit is none',
    steps: [
      put('quota-free', { tokenLimits: { gpt4: -1 } }),
      add('quota-free', { family: 'turbo', units: 5 }, 409, {
        code: 'conflict',
        error: /turbo is unlimited for this user: set tokenLimits\.turbo first/,
      }),
      add('quota-free', { family: 'gpt4', units: 5 }, 409),
      put('quota-special', { type: 'special', tokenLimits: { turbo: 5 } }),
      add('quota-special', { family: 'turbo', units: 5 }, 409, { error: /special user has no limits/ }),
    ],
  },
  {
    name: 'an addition under an Idempotency-Key is made once',
    steps: [
      put('quota-once', { tokenLimits: { turbo: 100 } }),
      put('quota-twice', { tokenLimits: { turbo: 100 } }),
      {
        ...add('quota-once', { family: 'turbo', units: 5 }, 200, undefined, 'add-1'),
        headers: { 'idempotency-replayed': absent },
      },
      {
        ...add('{id:quota-once}', { units: 5, family: 'turbo' }, 200, undefined, 'add-1'),
        answer: { families: families({ turbo: { limit: 105, extra: 5 } }) },
        headers: { 'idempotency-replayed': 'true' },
      },
      read('quota-once', 200, { families: families({ turbo: { limit: 105, extra: 5 } }) }),
      add('quota-once', { family: 'turbo', units: 6 }, 409, { code: 'conflict' }, 'add-1'),
      add('quota-twice', { family: 'turbo', units: 5 }, 409, { code: 'conflict' }, 'add-1'),
      add('quota-once', { family: 'turbo', units: 5 }, 200, undefined, 'add-2'),
      read('quota-once', 200, { families: families({ turbo: { limit: 110, extra: 10 } }) }),
      add('quota-once', { family: 'turbo', units: 1 }, 400, undefined, 'with space'),
      {
        send: { method: 'POST', path: '/admin/users', headers: { 'idempotency-key': 'add-1' } },
        status: 409,
      },
    ],
  },
  {
    name: 'a refused addition keeps no key',
    steps: [
      put('quota-later', {}),
      add('quota-later', { family: 'turbo', units: 5 }, 409, undefined, 'add-3'),
      put('quota-later', { tokenLimits: { turbo: 1 } }),
      add('quota-later', { family: 'turbo', units: 5 }, 200, undefined, 'add-3'),
    ],
  },
  {
    name: 'everybody at once, in pieces, is harmless to repeat',
    steps: [
      resetAll(undefined, 200, { users: anything, nextCursor: absent }),
      resetAll({}, 200, { users: 0, nextCursor: absent }),
      put('quota-all-a', { tokenCounts: { turbo: 1, claude: 1 } }),
      // Ids are in the order of the time, and random within a millisecond.
      { ...put('quota-all-b', { tokenCounts: { turbo: 2 } }), afterMs: 1 },
      { ...put('quota-all-c', { type: 'special', tokenCounts: { turbo: 3 } }), afterMs: 1 },
      resetAll({ families: ['claude'] }, 200, { users: 1 }),
      resetAll({ limit: 2 }, 200, { users: 2, nextCursor: /^usr_/ }),
      read('quota-all-b', 200, { families: families({}) }),
      read('quota-all-c', 200, { families: families({ turbo: { used: 3 } }) }),
      resetAll({ limit: 1 }, 200, { users: 1, nextCursor: absent }),
      read('quota-all-c', 200, { families: families({}) }),
    ],
  },
  {
    name: 'a cursor goes on where the call before ended',
    steps: [
      put('quota-cursor', { tokenCounts: { turbo: 1 } }),
      resetAll({ cursor: 'usr_zzzzzzzzzzzzzzzzzzzzzzzz' }, 200, { users: 0, nextCursor: absent }),
      resetAll({ cursor: 'usr_000000000000000000000000' }, 200, { users: 1, nextCursor: absent }),
    ],
  },
  {
    name: 'bad questions about quotas',
    steps: [
      put('quota-bad', { tokenLimits: { turbo: 100 }, tokenCounts: { turbo: 5 } }),
      read('nobody', 404, { error: 'Not found' }),
      reset('nobody', undefined, 404),
      add('nobody', { family: 'turbo', units: 1 }, 404),
      read('usr_000000000000000000000000', 404),
      read('%zz', 400, issue('token')),
      reset('quota-bad', { families: [] }, 400, issue('families')),
      reset('quota-bad', { families: ['gpt5'] }, 400, issue('families[0]', /known are gpt4-32k, turbo/)),
      reset('quota-bad', { family: 'claude' }, 400, issue('family')),
      reset('quota-bad', [], 400),
      add('quota-bad', undefined, 400),
      add('quota-bad', { family: 'turbo' }, 400, issue('units')),
      add('quota-bad', { family: 'gpt5', units: 1 }, 400, issue('family', /known are/)),
      add('quota-bad', { family: 'turbo', units: 1.5 }, 400, issue('units')),
      add('quota-bad', { family: 'turbo', units: '5' }, 400, issue('units')),
      add('quota-bad', { family: 'turbo', units: 2 ** 53 - 1 }, 400, issue('units')),
      resetAll({ family: 'turbo' }, 400, issue('family')),
      resetAll({ families: ['gpt5'] }, 400, issue('families[0]')),
      resetAll({ cursor: 'x' }, 400, issue('cursor')),
      resetAll({ limit: 0 }, 400, issue('limit')),
      resetAll({ limit: 100_001 }, 400, issue('limit')),
      resetAll({ limit: '5' }, 400, issue('limit')),
    ],
  },
  {
    name: 'other methods, and who may not',
    steps: [
      {
        send: { method: 'PUT', path: '/admin/users/x/quota' },
        status: 405,
        headers: { allow: 'GET, HEAD' },
      },
      {
        send: { method: 'GET', path: '/admin/users/x/quota/reset' },
        status: 405,
        headers: { allow: 'POST' },
      },
      { send: { method: 'GET', path: '/admin/quota/reset' }, status: 405, headers: { allow: 'POST' } },
      {
        send: { method: 'POST', path: '/admin/quota/reset', headers: { authorization: undefined } },
        status: 401,
      },
    ],
  },
]
