import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'
import { type SentRequest, startAt, verifierSecret } from './support/admin-server.ts'

/** Links that show an access token once, as administrators make them; played with the contract's scenarios. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const minuteMs = 60_000
const dayMs = 86_400_000

const make = (name: string, body: unknown, status: number, answer?: unknown, headers = {}): Step => ({
  send: {
    method: 'POST',
    path: `/admin/users/${name}/claim`,
    ...(body !== undefined && { body }),
    headers: { host: 'llm.example.org', ...headers },
  },
  status,
  answer,
})
const list = (name: string, status: number, answer?: unknown, headers?: SentRequest['headers']): Step => ({
  send: { method: 'GET', path: `/admin/users/${name}/claims`, ...(headers && { headers }) },
  status,
  answer,
})
const revoke = (name: string, id: string, status: number, answer?: unknown, headers = {}): Step => ({
  send: { method: 'DELETE', path: `/admin/users/${name}/claims/${id}`, headers },
  status,
  answer,
})
const put = (name: string): Step => ({
  send: { method: 'PUT', path: `/admin/users/${name}`, body: { nickname: name } },
  status: 200,
})
const anonymous = { authorization: undefined }
const gateway = { authorization: `Bearer ${verifierSecret}` }
const link = /^https:\/\/llm\.example\.org\/claim#tgc-[0-9A-Za-z]{40}$/

export const claimScenarios: readonly Scenario[] = [
  {
    name: 'a link that shows an access token once',
    steps: [
      put('to-claim'),
      list('to-claim', 200, { claims: [], count: 0 }),
      make('to-claim', undefined, 200, {
        id: /^clm_/,
        link,
        state: 'open',
        createdAt: startAt,
        expiresAt: startAt + dayMs,
        rotate: false,
        graceMinutes: absent,
        userId: absent,
      }),
      make('to-claim', { validMinutes: 1, rotate: true, graceMinutes: 10_080 }, 200, {
        link,
        expiresAt: startAt + minuteMs,
        rotate: true,
        graceMinutes: 10_080,
      }),
      make('to-claim', { validMinutes: 43_200, rotate: true }, 200, {
        expiresAt: startAt + 30 * dayMs,
        graceMinutes: 0,
      }),
      make('to-claim', { validMinutes: null, rotate: null, graceMinutes: null }, 200, { rotate: false }),
      list('to-claim', 200, {
        count: 4,
        claims: [
          { state: 'open', link: absent },
          { state: 'revoked', revokedAt: startAt },
          { state: 'revoked' },
          { state: 'revoked' },
        ],
      }),
    ],
  },
  {
    name: 'what a link is asked to be is said plainly',
    steps: [
      put('to-claim-too'),
      ...[0, 43_201, 1.5, '60'].map((validMinutes) =>
        make('to-claim-too', { validMinutes }, 400, issue('validMinutes', /whole number from 1 to 43200/)),
      ),
      make('to-claim-too', { rotate: true, graceMinutes: -1 }, 400, issue('graceMinutes')),
      make('to-claim-too', { rotate: true, graceMinutes: 10_081 }, 400, issue('graceMinutes')),
      make('to-claim-too', { graceMinutes: 5 }, 400, issue('graceMinutes', 'needs "rotate": true')),
      make('to-claim-too', { rotate: 'yes' }, 400, issue('rotate')),
      make('to-claim-too', { expiresAt: startAt }, 400, issue('expiresAt', 'is not a known field')),
      make('to-claim-too', {}, 400, anything, { host: 'a/b' }),
      make('to-claim-too', {}, 415, anything, { 'content-type': 'text/plain' }),
      make('to-claim-too', { x: 'x'.repeat(70_000) }, 413),
      {
        send: { method: 'POST', path: '/admin/users/to-claim-too/claim', rawBody: '{' },
        status: 400,
        answer: { code: 'bad_json' },
      },
      make('not-there', {}, 404, { code: 'not_found' }),
      make('to-claim-too', {}, 401, anything, anonymous),
      make('to-claim-too', {}, 403, anything, gateway),
      list('to-claim-too', 200, { count: 0 }),
      {
        send: { method: 'GET', path: '/admin/users/to-claim-too/claim' },
        status: 405,
        headers: { allow: 'POST' },
      },
    ],
  },
  {
    name: 'links are listed and revoked by those who may',
    steps: [
      put('to-list'),
      list('not-there', 404),
      list('%zz', 400, issue('token')),
      list('to-list', 401, anything, anonymous),
      list('to-list', 403, anything, gateway),
      revoke('to-list', 'clm_none', 404, { code: 'not_found' }),
      revoke('to-list', '%zz', 404),
      revoke('not-there', 'clm_none', 404),
      revoke('%zz', 'clm_none', 400, issue('token')),
      revoke('to-list', 'clm_none', 401, anything, anonymous),
      revoke('to-list', 'clm_none', 403, anything, gateway),
      {
        send: { method: 'DELETE', path: '/admin/users/to-list/claims/clm_none?force=1' },
        status: 400,
        answer: issue('force'),
      },
      {
        send: { method: 'GET', path: '/admin/users/to-list/claims?limit=1' },
        status: 400,
        answer: issue('limit'),
      },
      {
        send: { method: 'POST', path: '/admin/users/to-list/claims' },
        status: 405,
        headers: { allow: 'GET, HEAD' },
      },
    ],
  },
]
