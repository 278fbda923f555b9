import type { Scenario, Step } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'

/** What asking for single requests answers where there are none; what it finds is held by storage/requests.test.ts. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const get = (query: string, status: number, answer?: unknown): Step => ({
  send: { method: 'GET', path: `/admin/requests${query}` },
  status,
  answer,
})
const cursorOf = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url')
const place = '0'.repeat(24)

export const requestScenarios: readonly Scenario[] = [
  {
    name: 'single requests, by every filter',
    steps: [
      get('', 200, { requests: anything, count: anything }),
      get(`?id=req_${place}`, 200, { requests: [], count: 0 }),
      get(
        `?user=usr_${place}&state=settled&status=200&code=client_gone&family=claude&model=x&upstream=&from=2026-01-01&to=2026-01-02&limit=500`,
        200,
        { requests: [], count: 0 },
      ),
      get(`?status=429&cursor=${cursorOf({ after: place, status: 429 })}`, 200, { requests: [] }),
    ],
  },
  {
    name: 'questions about single requests that are none',
    steps: [
      get('?id=usr_1', 400, issue('id')),
      get(`?id=req_${place}&user=usr_${place}`, 400, issue('id', /^stands alone/)),
      get('?user=a-token', 400, issue('user')),
      get('?state=running', 400, issue('state')),
      get('?status=20', 400, issue('status')),
      get('?code=DROP', 400, issue('code')),
      get('?limit=501', 400, issue('limit')),
      get('?from=yesterday', 400, issue('from')),
      get('?from=2026-01-02&to=2026-01-01', 400, issue('from', /^must be before to/)),
      get('?page=2', 400, issue('page')),
      get('?cursor=xx', 400, issue('cursor')),
      get(`?cursor=${cursorOf({ after: "'", status: 429 })}`, 400, issue('cursor')),
      get(`?status=200&cursor=${cursorOf({ after: place, status: 429 })}`, 400, issue('cursor', /^belongs/)),
      get(`?model=x&cursor=${cursorOf({ after: place })}`, 400, issue('cursor', /^belongs/)),
    ],
  },
]
