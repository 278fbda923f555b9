import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'
import { type SentRequest, startAt, verifierSecret } from './support/admin-server.ts'

/** What is done about single access tokens; played with the contract's scenarios, by the same rules. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const lookUp = (body: unknown, status: number, answer?: unknown): Step => ({
  send: { method: 'POST', path: '/admin/tokens/lookup', ...(body !== undefined && { body }) },
  status,
  answer,
})
const bare = (headers: SentRequest['headers']): SentRequest => ({
  method: 'POST',
  path: '/admin/tokens/lookup',
  body: { token: 'leaked one/+ü%' },
  ...(headers && { headers }),
})

const lookingUp: readonly Scenario[] = [
  {
    name: 'the user of an access token that leaked',
    steps: [
      {
        send: {
          method: 'PUT',
          path: `/admin/users/${encodeURIComponent('leaked one/+ü%')}`,
          body: { nickname: 'leaky' },
        },
        status: 200,
      },
      {
        ...lookUp({ token: 'leaked one/+ü%' }, 200, { id: /^usr_/, nickname: 'leaky', type: 'normal' }),
        headers: { etag: '"1"' },
      },
      lookUp({ token: 'leaked one/+u%' }, 404, { code: 'not_found' }),
      lookUp({ token: 'leaked one/+ü%'.toUpperCase() }, 404, { code: 'not_found' }),
    ],
  },
  {
    name: 'an access token to look up is named as one',
    steps: [
      lookUp(undefined, 400, issue('token')),
      lookUp({}, 400, issue('token')),
      lookUp({ token: '' }, 400, issue('token', /1 to 512 characters/)),
      lookUp({ token: 'x'.repeat(513) }, 400, issue('token', /1 to 512 characters/)),
      lookUp({ token: 'leaked\n' }, 400, issue('token', /control characters/)),
      lookUp({ token: 'usr_000000000000000000000000' }, 400, issue('token', /user's id/)),
      lookUp({ token: 7 }, 400, issue('token')),
      lookUp({ token: 'x', id: 'y' }, 400, issue('id', 'is not a known field')),
      lookUp([], 400, { code: 'bad_request' }),
      {
        send: { method: 'POST', path: '/admin/tokens/lookup?token=x', body: { token: 'leaked' } },
        status: 400,
        answer: issue('token', /no parameters/),
      },
      {
        send: { method: 'POST', path: '/admin/tokens/lookup', rawBody: '{' },
        status: 400,
        answer: { code: 'bad_json' },
      },
      {
        send: { ...bare({ 'content-type': 'text/plain' }) },
        status: 415,
      },
      lookUp({ token: 'x'.repeat(70_000) }, 413),
    ],
  },
  {
    name: 'looking an access token up takes an admin key',
    steps: [
      { send: bare({ authorization: undefined }), status: 401, answer: { code: 'missing_credential' } },
      { send: bare({ authorization: `Bearer ${verifierSecret}` }), status: 403 },
      { send: { method: 'GET', path: '/admin/tokens/lookup' }, status: 405, headers: { allow: 'POST' } },
      { send: { method: 'GET', path: '/admin/tokens/leaked' }, status: 404 },
    ],
  },
]

const put = (name: string): Step => ({
  send: { method: 'PUT', path: `/admin/users/${name}`, body: { nickname: name } },
  status: 200,
})
const rotate = (name: string, body: unknown, status: number, answer?: unknown, key?: string): Step => ({
  send: {
    method: 'POST',
    path: `/admin/users/${name}/rotate`,
    ...(body !== undefined && { body }),
    ...(key !== undefined && { headers: { 'idempotency-key': key } }),
  },
  status,
  answer,
})
const dayMs = 86_400_000
const previousUntil = startAt + 7 * dayMs

const rotating: readonly Scenario[] = [
  {
    name: 'another access token, and the one before for a while',
    steps: [
      put('rotated'),
      {
        ...rotate(
          'rotated',
          { previousUntil },
          200,
          { token: /^sk-tg-/, id: /^usr_/, previousUntil },
          'once',
        ),
        headers: { etag: '"2"' },
      },
      {
        ...rotate('rotated', { previousUntil }, 200, { token: /^sk-tg-/, previousUntil }, 'once'),
        headers: { 'idempotency-replayed': 'true' },
      },
      rotate('rotated', {}, 409, { code: 'conflict' }, 'once'),
      lookUp({ token: 'rotated' }, 200, { nickname: 'rotated', token: /^sk-tg-/ }),
      { send: { method: 'GET', path: '/admin/users/rotated' }, status: 200, answer: { nickname: 'rotated' } },
      // By the old token the same user is meant; a second one would hold that token as well.
      { ...put('rotated'), answer: { token: /^sk-tg-/, nickname: 'rotated' } },
      rotate('rotated', { previousUntil: null }, 200, { token: /^sk-tg-/, previousUntil: absent }),
      lookUp({ token: 'rotated' }, 404),
      rotate('rotated', undefined, 404),
    ],
  },
  {
    name: 'a rotation is said plainly',
    steps: [
      put('to-rotate'),
      rotate('to-rotate', { previousUntil: startAt }, 400, issue('previousUntil', /at most 7 days ahead/)),
      rotate('to-rotate', { previousUntil: previousUntil + 1 }, 400, issue('previousUntil')),
      rotate('to-rotate', { previousUntil: 'soon' }, 400, issue('previousUntil')),
      rotate('to-rotate', { graceMs: 5 }, 400, issue('graceMs', 'is not a known field')),
      rotate('to-rotate', {}, 400, issue('Idempotency-Key'), 'two words'),
      rotate('nothing-there', {}, 404),
      {
        send: { method: 'POST', path: '/admin/users/to-rotate/rotate?grace=1', body: {} },
        status: 400,
        answer: issue('grace'),
      },
      {
        send: { method: 'POST', path: '/admin/users/to-rotate/rotate', rawBody: '{' },
        status: 400,
        answer: { code: 'bad_json' },
      },
      {
        send: {
          method: 'POST',
          path: '/admin/users/to-rotate/rotate',
          body: {},
          headers: { 'content-type': 'text/plain' },
        },
        status: 415,
      },
      rotate('to-rotate', { x: 'x'.repeat(70_000) }, 413),
      {
        send: {
          method: 'POST',
          path: '/admin/users/to-rotate/rotate',
          headers: { authorization: undefined },
        },
        status: 401,
      },
      {
        send: {
          method: 'POST',
          path: '/admin/users/to-rotate/rotate',
          headers: { authorization: `Bearer ${verifierSecret}` },
        },
        status: 403,
      },
      {
        send: { method: 'GET', path: '/admin/users/to-rotate/rotate' },
        status: 405,
        headers: { allow: 'POST' },
      },
      {
        send: { method: 'GET', path: '/admin/users/to-rotate' },
        status: 200,
        answer: { token: 'to-rotate' },
      },
    ],
  },
]

const reveal = (name: string, status: number, answer?: unknown, headers?: SentRequest['headers']): Step => ({
  send: { method: 'POST', path: `/admin/users/${name}/reveal`, ...(headers && { headers }) },
  status,
  answer,
})

const revealing: readonly Scenario[] = [
  {
    name: 'one access token is shown',
    steps: [
      put('to-reveal'),
      { ...reveal('to-reveal', 200, { token: 'to-reveal', id: /^usr_/ }), headers: { etag: '"1"' } },
      reveal('not-there', 404, { code: 'not_found' }),
      reveal('%zz', 400, issue('token')),
      reveal('to-reveal', 401, undefined, { authorization: undefined }),
      reveal('to-reveal', 403, undefined, { authorization: `Bearer ${verifierSecret}` }),
      {
        send: { method: 'POST', path: '/admin/users/to-reveal/reveal?mask=no' },
        status: 400,
        answer: issue('mask'),
      },
      {
        send: { method: 'GET', path: '/admin/users/to-reveal/reveal' },
        status: 405,
        headers: { allow: 'POST' },
      },
    ],
  },
]

export const accessTokenScenarios: readonly Scenario[] = [...lookingUp, ...rotating, ...revealing]
