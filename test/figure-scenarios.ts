import type { Scenario, Step } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'

/** Figures at the bound of what one from outside may say, and beyond it, by every way into the account. */
const unitsMax = 1e12
const instantMax = 8.64e15

const issue = (path: string) => ({ code: 'bad_request', issues: [{ path, message: /from -?\d+ to \d+/ }] })
const send = (method: string, path: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: { method, path, body },
  status,
  answer,
})

const counts = ['promptCount', 'tokenCounts']
const limits = ['tokenLimits', 'requestsPerMinute', 'concurrentRequests', 'maxIps']
const times = ['createdAt', 'lastUsedAt', 'disabledAt', 'expiresAt']
const bounds: readonly (readonly [field: string, max: number])[] = [
  ...[...counts, ...limits].map((field) => [field, unitsMax] as const),
  ...times.map((field) => [field, instantMax] as const),
  ['ipWindowDays', 36_500],
]

const byFamily = (field: string, value: number) => (field.startsWith('token') ? { turbo: value } : value)
const pathOf = (field: string) => (field.startsWith('token') ? `${field}.turbo` : field)

const fields: readonly Scenario[] = bounds.map(([field, max]) => ({
  name: `${field} may be ${max} and not more`,
  steps: [
    send('PUT', `/admin/users/bound-${field}`, { [field]: byFamily(field, max) }, 200, {
      [field]: field.startsWith('token') ? { turbo: max } : max,
    }),
    ...[max + 1, 2 ** 53 - 1, 2 ** 53, 1e300].flatMap((value) => {
      const body = { [field]: byFamily(field, value) }
      return [
        send('PUT', `/admin/users/bound-${field}`, body, 400, issue(pathOf(field))),
        send('POST', '/admin/users', body, 400, issue(pathOf(field))),
        send(
          'PUT',
          '/admin/users',
          { users: [{ token: 'bound-bulk' }, { token: `bound-${field}`, ...body }] },
          400,
          issue(`users[1].${pathOf(field)}`),
        ),
      ]
    }),
    {
      send: { method: 'PUT', path: `/admin/users/bound-${field}`, rawBody: `{"${field}":1e999}` },
      status: 400,
      answer: { issues: anything },
    },
  ],
}))

const add = '/admin/users/bound-added/quota/add'
export const figureScenarios: readonly Scenario[] = [
  ...fields,
  {
    name: 'an addition may be the bound and not more',
    steps: [
      send('PUT', '/admin/users/bound-added', { tokenLimits: { turbo: 5 } }, 200),
      ...[unitsMax + 1, -unitsMax - 1, 2 ** 53 - 1, -1e300].map((units) =>
        send('POST', add, { family: 'turbo', units }, 400, issue('units')),
      ),
      send('POST', add, { family: 'turbo', units: unitsMax }, 200, { families: anything }),
      send('POST', add, { family: 'turbo', units: -unitsMax }, 200, { families: anything }),
    ],
  },
  {
    name: 'a reset takes no more users in a call than it says',
    steps: [100_001, 2 ** 53, 0].map((limit) =>
      send('POST', '/admin/quota/reset', { limit }, 400, issue('limit')),
    ),
  },
  {
    name: 'figures of a usage query are bounded',
    steps: ['limit=9007199254740993', 'status=9007199254740993', 'to=9007199254740993', 'from=1e300'].map(
      (query) => send('GET', `/admin/usage?${query}`, undefined, 400, { issues: anything }),
    ),
  },
]
