import type { Scenario, Step } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'
import { startAt } from './support/admin-server.ts'

/** What asking for usage answers where nothing was used; what it adds up to is held by admin-usage.test.ts. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const get = (query: string, status: number, answer?: unknown, path = '/admin/usage'): Step => ({
  send: { method: 'GET', path: `${path}${query}` },
  status,
  answer,
})
const dayMs = 86_400_000
const ofUser = '/admin/users/{id:usage-user}/usage'

export const usageScenarios: readonly Scenario[] = [
  {
    name: 'usage of the last 24 hours, by the hour',
    steps: [
      get('', 200, {
        bucket: 'hour',
        from: startAt - dayMs,
        to: startAt,
        timeZone: 'UTC',
        groupBy: [],
        rows: anything,
        truncated: false,
      }),
    ],
  },
  {
    name: 'usage of one user, and of nobody',
    steps: [
      { send: { method: 'PUT', path: '/admin/users/usage-user' }, status: 200 },
      get('', 200, { rows: [] }, ofUser),
      get('?groupBy=model,status', 200, { groupBy: ['model', 'status'] }, '/admin/users/usage-user/usage'),
      get('', 404, { code: 'not_found' }, '/admin/users/nobody-used/usage'),
      get('?groupBy=user', 400, issue('groupBy', /^must be of family, model/), ofUser),
      get('', 400, issue('token'), '/admin/users/%ff/usage'),
    ],
  },
  {
    name: 'times in every way, and a bucket that suits them',
    steps: [
      get(`?from=${startAt - 1000}&to=${startAt}`, 200, { bucket: 'minute', from: startAt - 1000 }),
      get('?from=2025-12-01&to=2026-01-01', 200, {
        ...{ bucket: 'day', from: Date.parse('2025-12-01T00:00:00Z'), to: startAt },
      }),
      get('?from=2025-12-31T23:00:00%2B01:00&to=2026-01-01T00:00Z&bucket=minute', 200, {
        from: Date.parse('2025-12-31T22:00:00Z'),
      }),
      get('?from=2025-12-31T23:00:00+01:00', 200, { from: Date.parse('2025-12-31T22:00:00Z') }),
      get('?to=2026-01-01', 200, { from: startAt - dayMs, to: startAt }),
      get('?to=5', 200, { from: 0, to: 5 }),
    ],
  },
  {
    name: 'times that are none',
    steps: [
      ...[
        'yesterday',
        '2025-02-30',
        '2025-12-31T23:00',
        '2025-12-31T25:00Z',
        '-1',
        '1e3',
        '',
        '253402300800000',
      ],
    ]
      .map((text) => get(`?from=${text}`, 400, issue('from', /^must be epoch milliseconds, a date/)))
      .concat([
        get(`?from=${startAt}`, 400, issue('from', /^must be before to/)),
        get(`?from=2026-01-02&to=2026-01-01`, 400, issue('from', /^must be before to/)),
      ]),
  },
  {
    name: 'questions that would cost too much say what to do',
    steps: [
      get('?bucket=minute&from=2025-12-01', 400, issue('bucket', /44640 minutes.*1500.*or for hours/)),
      get('?bucket=hour&from=2020-01-01', 400, issue('bucket', /52608 hours.*10000.*or for days/)),
      get('?bucket=day&from=0', 400, issue('bucket', /20454 days.*1100.*shorter time$/)),
    ],
  },
  {
    name: 'filters and bounds',
    steps: [
      get('?family=turbo&model=a&upstream=&status=200&limit=1&format=json', 200, { rows: [] }),
      get('?user={id:usage-user}&groupBy=user', 200, { rows: [], groupBy: ['user'] }),
      get('?user=usage-user', 400, issue('user', /id/)),
      get('?status=999', 400, issue('status')),
      get('?limit=0', 400, issue('limit')),
      get('?limit=50001', 400, issue('limit', /50000/)),
      get('?format=xml', 400, issue('format')),
      get('?bucket=week', 400, issue('bucket', /minute, hour, day/)),
      get('?groupBy=family,family', 400, issue('groupBy', /at most once/)),
      get('?groupBy=constructor', 400, issue('groupBy')),
      get('?groupBy=', 200, { groupBy: [] }),
      get('?from=x&status=y&groupBy=z', 400, {
        issues: [{ path: 'status' }, { path: 'from' }, { path: 'groupBy' }],
      }),
      get('?unknown=1', 400, issue('unknown', /known are bucket, from, to/)),
    ],
  },
]
