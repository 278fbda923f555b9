import type { Scenario } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'
import { startAt, verifierSecret } from './support/admin-server.ts'

/** How the trail of changes is asked for; what stands in it is looked at in `audit.test.ts`. */
export const auditScenarios: readonly Scenario[] = [
  {
    name: 'the trail of changes',
    steps: [
      { send: { method: 'PUT', path: '/admin/users/audited', body: { nickname: 'A' } }, status: 200 },
      {
        send: { method: 'GET', path: '/admin/audit?limit=1' },
        status: 200,
        answer: { count: 1, changes: [{ kind: 'user.created', at: startAt }], nextCursor: anything },
      },
      {
        send: { method: 'GET', path: '/admin/audit?kind=odd' },
        status: 400,
        answer: { code: 'bad_request', issues: [{ path: 'kind', message: anything }] },
      },
      { send: { method: 'GET', path: '/admin/audit', headers: { authorization: undefined } }, status: 401 },
      {
        send: {
          method: 'GET',
          path: '/admin/audit',
          headers: { authorization: `Bearer ${verifierSecret}` },
        },
        status: 403,
      },
    ],
  },
]
