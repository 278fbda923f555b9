import type { Scenario } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'

/** How files of users are answered; what is in them is held by transfer.test.ts. */
const path = '/admin/users/import'
const lines = { 'content-type': 'application/x-ndjson' }

export const transferScenarios: readonly Scenario[] = [
  {
    name: 'users are imported and exported, and a file that is not one is refused',
    steps: [
      {
        send: {
          method: 'POST',
          path,
          rawBody: '{"token":"from-a-file","tags":["from-a-file"]}\n',
          headers: lines,
        },
        status: 200,
        answer: { records: 1, created: 1, failed: 0, errors: [], differences: absent, ignored: absent },
      },
      {
        // One line is one user, as the contract has it.
        send: { method: 'GET', path: '/admin/users/export?format=ndjson&tag=from-a-file' },
        status: 200,
        answer: { token: 'from-a-file', tags: ['from-a-file'] },
      },
      {
        send: { method: 'GET', path: '/admin/users/export?format=xml' },
        status: 400,
        answer: { issues: [{ path: 'format', message: anything }] },
      },
      { send: { method: 'GET', path: '/admin/users/export' }, status: 404 },
      {
        send: { method: 'POST', path, rawBody: '{', headers: lines },
        status: 400,
        answer: {
          error: /^line 1: is not valid JSON\. Nothing was written\.$/,
          issues: [{ path: 'line 1', message: anything }],
        },
      },
      {
        send: {
          method: 'POST',
          path,
          rawBody: 'a=b',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
        status: 415,
        answer: { code: 'unsupported_media_type' },
      },
    ],
  },
]
