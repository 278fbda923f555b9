import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'

/** What a body or a query says and no field reads: told in the answer, or refused where it would mislead. */
const send = (method: string, path: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: { method, path, body },
  status,
  answer,
})
const at = (name: string) => `/admin/users/${name}`
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})

export const ignoredScenarios: readonly Scenario[] = [
  {
    name: 'members that are not known are told, by one and by many',
    steps: [
      send('PUT', at('ignored'), { tokenLimit: { turbo: 5 }, nickname: 'n', meta: { tokenLimit: 1 } }, 200, {
        token: 'ignored',
        nickname: 'n',
        tokenLimits: { turbo: absent },
        ignored: ['tokenLimit'],
      }),
      send('PUT', at('ignored'), { nickname: 'm' }, 200, { ignored: absent }),
      send('POST', '/admin/users', { maxIp: 1, tokenLimit: {} }, 200, {
        token: anything,
        ignored: ['maxIp', 'tokenLimit'],
      }),
      send(
        'PUT',
        '/admin/users',
        {
          users: [
            { token: 'ignored' },
            { token: 'ignored', NickName: 'x' },
            { token: 'ignored-b', tokenLimit: {} },
          ],
          dryRun: true,
        },
        200,
        { count: 3, ignored: ['dryRun', 'users[1].NickName', 'users[2].tokenLimit'] },
      ),
      send('PUT', '/admin/users', { users: [{ token: 'ignored' }] }, 200, { ignored: absent }),
    ],
  },
  {
    name: 'what an answer holds beside may be put back, and what an export holds is taken',
    steps: [
      send('PUT', '/admin/users', { users: [{ token: 'ignored', id: 'x' }], count: 1, total: 1 }, 200, {
        ignored: absent,
      }),
      send(
        'PUT',
        at('ignored-export'),
        {
          ...{ ip: [], nickname: 'e', type: 'normal', promptCount: 1, tokenCounts: {}, tokenLimits: {} },
          ...{ createdAt: 1, lastUsedAt: 2, maxIps: -1, adminNote: 'a', meta: {} },
        },
        200,
        { ignored: absent },
      ),
      send('PUT', at('ignored-export'), { tokenRefresh: { turbo: 9 } }, 200, { ignored: ['tokenRefresh'] }),
    ],
  },
  {
    name: 'a new user’s token is not the body’s to say',
    steps: [send('POST', '/admin/users', { token: 'mine', id: 'x' }, 200, { ignored: ['token', 'id'] })],
  },
  {
    name: 'no more than a hundred are told, each in short',
    steps: [
      send(
        'PUT',
        at('ignored-many'),
        Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`${'x'.repeat(200)}${index}`, 1])),
        200,
        { ignored: Array.from({ length: 100 }, () => /^x{80}$/) },
      ),
      {
        send: {
          method: 'PUT',
          path: at('ignored-many'),
          rawBody: '{"__proto__":1,"constructor":2,"toString":3}',
        },
        status: 200,
        answer: { ignored: ['__proto__', 'constructor', 'toString'] },
      },
    ],
  },
  {
    name: 'what changes quotas and keys refuses what it does not know',
    steps: [
      send('POST', '/admin/users/ignored/quota/reset', { family: ['turbo'] }, 400, issue('family')),
      send('POST', '/admin/quota/reset', { family: ['turbo'] }, 400, issue('family')),
      send(
        'POST',
        '/admin/users/ignored/quota/add',
        { family: 'turbo', units: 1, unit: 2 },
        400,
        issue('unit'),
      ),
      send('POST', '/admin/keys', { name: 'k', scope: 'verifier' }, 400, issue('scope')),
      send(
        'POST',
        '/admin/users/ignored/quota/reset?families=turbo',
        {},
        400,
        issue('families', /no parameters/),
      ),
      send('POST', '/admin/quota/reset?families=turbo', {}, 400, issue('families', /no parameters/)),
      send('POST', '/admin/users/ignored/quota/add?units=5', {}, 400, issue('units', /no parameters/)),
    ],
  },
  {
    name: 'a token that is not the path’s is refused',
    steps: [
      send('PUT', at('token-kept'), { token: 'token-kept', nickname: 'a' }, 200, { token: 'token-kept' }),
      send('PUT', at('token-kept'), { token: 'token-new', nickname: 'b' }, 400, issue('token')),
      send('PUT', at('{id:token-kept}'), { token: 'token-new', nickname: 'b' }, 400, issue('token')),
      send('PUT', at('{id:token-kept}'), { token: '', nickname: 'b' }, 400, issue('token')),
      send('PUT', at('token-unknown'), { token: 'token-new' }, 400, issue('token')),
      send('PUT', at('{id:token-kept}'), { token: 'token-kept', nickname: 'c' }, 200, { nickname: 'c' }),
      send('PUT', at('usr_000000000000000000000000'), { token: 'token-new' }, 404, { error: 'Not found' }),
      send('GET', at('token-unknown'), undefined, 404),
      send('GET', at('token-new'), undefined, 404),
      {
        send: { method: 'PUT', path: at('token-kept'), body: { token: 'x' }, headers: { 'if-match': '*' } },
        status: 400,
        answer: issue('token'),
      },
    ],
  },
]
