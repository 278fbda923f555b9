import type { Scenario } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'
import { startAt } from './support/admin-server.ts'

/** How bulk actions are answered; what they do is held by bulk.test.ts. */
const begin = '/admin/users/bulk'
const unknown = '/admin/bulk/blk_unknown'

export const bulkScenarios: readonly Scenario[] = [
  {
    name: 'a bulk action is begun, read, gone on with and taken back',
    steps: [
      { send: { method: 'PUT', path: '/admin/users/in-bulk', body: { tags: ['in-bulk'] } }, status: 200 },
      {
        send: {
          method: 'POST',
          path: begin,
          body: { action: { kind: 'disable' }, filter: { tag: 'in-bulk' }, dryRun: true },
        },
        status: 200,
        answer: {
          dryRun: true,
          matched: 1,
          users: [{ changes: [{ field: 'disabledAt', before: null, after: startAt }] }],
        },
      },
      {
        send: {
          method: 'POST',
          path: begin,
          body: { action: { kind: 'disable' }, filter: { tag: 'in-bulk' } },
        },
        status: 200,
        answer: { id: /^blk_/, state: 'done', changed: 1, failed: 0, undoUntil: startAt + 3_600_000 },
      },
      {
        send: { method: 'POST', path: begin, body: { action: { kind: 'fly' }, filter: {} } },
        status: 400,
        answer: { issues: [{ path: 'action.kind', message: anything }] },
      },
      {
        send: { method: 'GET', path: '/admin/bulk' },
        status: 200,
        answer: { runs: [{ state: 'done', matched: 1 }] },
      },
      { send: { method: 'GET', path: '/admin/bulk?page=2' }, status: 400 },
      {
        send: { method: 'GET', path: '/admin/bulk/{run}' },
        status: 200,
        answer: { state: 'done', changed: 1 },
      },
      { send: { method: 'GET', path: '/admin/bulk/{run}?page=2' }, status: 400 },
      {
        send: { method: 'POST', path: '/admin/bulk/{run}/continue' },
        status: 200,
        answer: { state: 'done' },
      },
      { send: { method: 'POST', path: '/admin/bulk/{run}/continue', body: { more: 1 } }, status: 400 },
      {
        send: { method: 'POST', path: '/admin/bulk/{run}/undo' },
        status: 200,
        answer: { state: 'undone', undone: 1 },
      },
      { send: { method: 'POST', path: '/admin/bulk/{run}/undo', body: { more: 1 } }, status: 400 },
      { send: { method: 'GET', path: unknown }, status: 404 },
      { send: { method: 'POST', path: `${unknown}/continue` }, status: 404 },
      { send: { method: 'POST', path: `${unknown}/undo` }, status: 404 },
      {
        send: {
          method: 'POST',
          path: begin,
          body: { action: { kind: 'resetUsage' }, filter: { tag: 'in-bulk' } },
        },
        afterMs: 5,
        status: 200,
        answer: { state: 'done', changed: 0 },
      },
      { send: { method: 'POST', path: '/admin/bulk/{run}/undo' }, status: 409, answer: { code: 'conflict' } },
      {
        send: {
          method: 'POST',
          path: begin,
          body: { action: { kind: 'purge' }, filter: { tag: 'in-bulk' }, confirm: 5 },
        },
        status: 409,
        answer: { error: /for 1 users, not 5/ },
      },
    ],
  },
]
