import { accessTokenScenarios } from './access-token-scenarios.ts'
import { auditScenarios } from './audit-scenarios.ts'
import { bulkScenarios } from './bulk-scenarios.ts'
import { claimScenarios } from './claim-scenarios.ts'
import { figureScenarios } from './figure-scenarios.ts'
import { frontEndScenarios } from './front-end-scenarios.ts'
import { ignoredScenarios } from './ignored-scenarios.ts'
import { keyScenarios } from './key-scenarios.ts'
import { quotaScenarios } from './quota-scenarios.ts'
import { requestScenarios } from './request-scenarios.ts'
import { routeScenarios } from './route-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'
import { adminSecret, otherAdminSecret, type SentRequest, startAt } from './support/admin-server.ts'
import { timeScenarios } from './time-scenarios.ts'
import { transferScenarios } from './transfer-scenarios.ts'
import { usageScenarios } from './usage-scenarios.ts'

/**
 * What the admin API answers, as data. Every answer is also held against the contract's own schemas, and every
 * refusal must have changed nothing; `{id:x}` in a path stands for the id of the user x, `{key:x}` for a key's.
 */
export interface Scenario {
  readonly name: string
  readonly steps: readonly Step[]
}

export interface Step {
  readonly send: SentRequest
  readonly status: number
  /** In part; `absent` and `anything` say the rest. */
  readonly answer?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
  /** How far the clock is moved on before it is sent. */
  readonly afterMs?: number
}

const families = { turbo: 0, gpt4: 0, 'gpt4-32k': 0, claude: 0 }
const issue = (path: string, message: unknown = anything) => ({
  error: anything,
  code: 'bad_request',
  issues: [{ path, message }],
})

const get = (path: string, status = 200, answer?: unknown): Step => ({
  send: { method: 'GET', path },
  status,
  answer,
})
const put = (path: string, body: unknown, status = 200, answer?: unknown): Step => ({
  send: { method: 'PUT', path, body },
  status,
  answer,
})
const post = (body: unknown, status = 200, answer?: unknown): Step => ({
  send: { method: 'POST', path: '/admin/users', ...(body !== undefined && { body }) },
  status,
  answer,
})
const remove = (path: string, status = 200, answer?: unknown): Step => ({
  send: { method: 'DELETE', path },
  status,
  answer,
})
const at = (name: string) => `/admin/users/${name}`

const creating: readonly Scenario[] = [
  {
    name: 'POST without a body makes a normal user',
    steps: [post(undefined, 200, { token: /^sk-tg-[0-9A-Za-z]{38}$/, id: /^usr_/ })],
  },
  { name: 'POST {} makes a normal user', steps: [post({}, 200, { token: anything, error: absent })] },
  { name: 'POST special', steps: [post({ type: 'special' }, 200, { token: anything })] },
  {
    name: 'POST temporary with limits',
    steps: [
      post({ type: 'temporary', expiresAt: startAt + 60_000, tokenLimits: { turbo: 5 } }, 200, {
        token: anything,
      }),
    ],
  },
  { name: 'POST temporary without expiresAt', steps: [post({ type: 'temporary' }, 400, issue('expiresAt'))] },
  {
    name: 'POST temporary in the past',
    steps: [post({ type: 'temporary', expiresAt: startAt - 1 }, 400, issue('expiresAt'))],
  },
  {
    name: 'POST temporary with null',
    steps: [post({ type: 'temporary', expiresAt: null }, 400, issue('expiresAt'))],
  },
  { name: 'POST an unknown type', steps: [post({ type: 'admin' }, 400, issue('type'))] },
  {
    name: 'POST normal may carry the rest',
    steps: [
      post({ nickname: 'posted-one', tokenLimits: { claude: 9 }, adminNote: 'n' }, 200, { token: anything }),
      get('/admin/users?q=posted-one', 200, {
        users: [{ type: 'normal', tokenLimits: { claude: 9 }, adminNote: 'n' }],
        count: 1,
        total: 1,
      }),
    ],
  },
  {
    name: 'a body of white space is none',
    steps: [{ send: { method: 'POST', path: '/admin/users', rawBody: ' \n' }, status: 200 }],
  },
]

const merging: readonly Scenario[] = [
  {
    name: 'PUT creates an unknown token, with every default absent',
    steps: [
      put(at('new-one'), {}, 200, {
        token: 'new-one',
        id: /^usr_/,
        ip: [],
        type: 'normal',
        promptCount: 0,
        createdAt: startAt,
        tokenCounts: families,
        nickname: absent,
        disabledAt: absent,
        disabledReason: absent,
        expiresAt: absent,
        lastUsedAt: absent,
        maxIps: absent,
        meta: absent,
        revision: absent,
        quotas: absent,
      }),
      get(at('new-one'), 200, { token: 'new-one' }),
    ],
  },
  {
    name: 'PUT without a body creates as well',
    steps: [{ send: { method: 'PUT', path: at('no-body') }, status: 200, answer: { token: 'no-body' } }],
  },
  {
    name: 'absent is unchanged, null clears',
    steps: [
      put(at('merge'), {
        nickname: 'n',
        expiresAt: 5,
        adminNote: 'a',
        tags: ['x', 'y', 'x'],
        meta: { a: 1 },
        maxIps: 3,
        period: 'daily',
        allowedNetworks: ['10.0.0.0/8'],
      }),
      put(at('merge'), { adminNote: 'b' }, 200, {
        nickname: 'n',
        expiresAt: 5,
        adminNote: 'b',
        tags: ['x', 'y'],
        meta: { a: 1 },
        maxIps: 3,
        period: 'daily',
      }),
      put(
        at('merge'),
        {
          nickname: null,
          expiresAt: null,
          adminNote: null,
          tags: null,
          meta: null,
          maxIps: null,
          period: null,
          allowedNetworks: null,
        },
        200,
        {
          nickname: absent,
          expiresAt: absent,
          adminNote: absent,
          tags: absent,
          meta: absent,
          maxIps: absent,
          period: absent,
          allowedNetworks: absent,
        },
      ),
    ],
  },
  {
    name: 'the window and the action of the address limit are set, kept and cleared',
    steps: [
      put(at('window'), { ipWindowDays: -1, ipLimitAction: 'refuse' }, 200, {
        ipWindowDays: -1,
        ipLimitAction: 'refuse',
      }),
      put(at('window'), { ipWindowDays: 7 }, 200, { ipWindowDays: 7, ipLimitAction: 'refuse' }),
      put(at('window'), { ipWindowDays: null, ipLimitAction: null }, 200, {
        ipWindowDays: absent,
        ipLimitAction: absent,
      }),
    ],
  },
  {
    name: 'every field of the contract and ours is kept',
    steps: [
      put(
        at('full'),
        {
          token: 'full',
          ip: ['192.0.2.1', '::ffff:192.0.2.2', 'ip-0a1b2c'],
          nickname: 'Füll 😀',
          type: 'special',
          promptCount: 7,
          tokenLimits: { turbo: 0, claude: -1 },
          tokenCounts: { gpt4: 12 },
          createdAt: 1,
          lastUsedAt: 2,
          disabledAt: 3,
          disabledReason: 'r',
          expiresAt: 4,
          requestsPerMinute: 0,
          concurrentRequests: -1,
          maxIps: 6,
          ipWindowDays: 30,
          ipLimitAction: 'disable',
          allowedNetworks: ['2001:db8::/32', '192.0.2.7'],
          allowedModels: ['gpt-*'],
          period: 'monthly',
          adminNote: 'two\nlines',
          meta: { deep: { er: [1, null] } },
          unknownField: true,
          id: 'usr_other',
        },
        200,
        {
          token: 'full',
          id: /^usr_[0-9a-z]{24}$/,
          ip: ['192.0.2.1', '192.0.2.2', 'ip-0a1b2c'],
          nickname: 'Füll 😀',
          type: 'special',
          promptCount: 7,
          tokenLimits: { turbo: 0, claude: -1, gpt4: absent },
          tokenCounts: { ...families, gpt4: 12 },
          createdAt: 1,
          lastUsedAt: 2,
          disabledAt: 3,
          disabledReason: 'r',
          expiresAt: 4,
          requestsPerMinute: 0,
          concurrentRequests: -1,
          maxIps: 6,
          ipWindowDays: 30,
          ipLimitAction: 'disable',
          allowedNetworks: ['2001:db8::/32', '192.0.2.7'],
          allowedModels: ['gpt-*'],
          period: 'monthly',
          adminNote: 'two\nlines',
          meta: { deep: { er: [1, null] } },
          unknownField: absent,
          ignored: ['unknownField'],
        },
      ),
    ],
  },
  {
    name: 'maps merge by family',
    steps: [
      put(at('maps'), { tokenLimits: { turbo: 1, gpt4: 2 }, tokenCounts: { turbo: 3, claude: 4 } }),
      put(at('maps'), { tokenLimits: { gpt4: 5 }, tokenCounts: { claude: 6 } }, 200, {
        tokenLimits: { turbo: 1, gpt4: 5, claude: absent },
        tokenCounts: { ...families, turbo: 3, claude: 6 },
      }),
      put(at('maps'), { tokenLimits: { turbo: null } }, 200, { tokenLimits: { turbo: absent, gpt4: 5 } }),
      put(at('maps'), { tokenLimits: null }, 200, {
        tokenLimits: { turbo: absent, gpt4: absent },
        tokenCounts: { turbo: 3 },
      }),
    ],
  },
  {
    name: 'the newest 256 addresses are kept, each once',
    steps: [
      put(
        at('came'),
        { ip: Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`) },
        200,
        {
          ip: Array.from({ length: 256 }, (_, index) => `10.0.${(index + 44) >> 8}.${(index + 44) & 255}`),
        },
      ),
      put(at('came'), { ip: ['192.0.2.1', '192.0.2.1'] }, 200, { ip: ['192.0.2.1'] }),
      put(at('came'), { ip: null }, 200, { ip: [] }),
    ],
  },
  {
    name: 'counts beyond 32 bits are exact',
    steps: [
      put(at('large'), { tokenCounts: { turbo: 1e12 }, promptCount: 2 ** 39 }, 200, {
        tokenCounts: { turbo: 1e12 },
        promptCount: 2 ** 39,
      }),
    ],
  },
  {
    name: 'an unknown family is named, and the known are told',
    steps: [
      put(
        at('family'),
        { tokenLimits: { gpt5: 1 } },
        400,
        issue('tokenLimits.gpt5', /known are gpt4-32k, turbo, gpt4, claude/),
      ),
    ],
  },
  {
    name: 'names of prototypes are names',
    steps: [
      {
        send: { method: 'PUT', path: at('proto'), rawBody: '{"tokenLimits":{"__proto__":1}}' },
        status: 400,
        answer: issue('tokenLimits.__proto__'),
      },
      put(at('proto'), { tokenCounts: { constructor: 1 } }, 400, issue('tokenCounts.constructor')),
      put(at('__proto__'), { nickname: 'p' }, 200, { token: '__proto__', nickname: 'p' }),
      put(at('constructor'), {}, 200, { token: 'constructor', nickname: absent }),
      {
        send: { method: 'PUT', path: at('proto-body'), rawBody: '{"__proto__":{"nickname":"polluted"}}' },
        status: 200,
        answer: { nickname: absent },
      },
      get(at('toString'), 404, { error: 'Not found' }),
    ],
  },
  {
    name: 'temporary needs expiresAt from somewhere',
    steps: [
      put(at('temp'), { type: 'temporary' }, 400, issue('expiresAt')),
      put(at('temp'), { type: 'temporary', expiresAt: 10 }, 200, { type: 'temporary', expiresAt: 10 }),
      put(at('temp'), { expiresAt: null }, 400, issue('expiresAt')),
      put(at('temp'), { nickname: 'still' }, 200, { type: 'temporary', expiresAt: 10 }),
      put(at('temp'), { type: 'normal', expiresAt: null }, 200, { type: 'normal', expiresAt: absent }),
    ],
  },
  {
    name: 'the id stands for the token, and is never made up',
    steps: [
      put(at('by-id'), { nickname: 'a' }),
      get(at('{id:by-id}'), 200, { token: 'by-id' }),
      put(at('{id:by-id}'), { token: 'by-id', nickname: 'b' }, 200, { token: 'by-id', nickname: 'b' }),
      remove(at('{id:by-id}'), 200, { token: 'by-id', disabledAt: anything }),
      put(at('usr_000000000000000000000000'), {}, 404, { error: 'Not found', code: 'not_found' }),
      get(at('usr_000000000000000000000000'), 404, { error: 'Not found' }),
    ],
  },
]

const wrongFields: readonly (readonly [string, unknown, string])[] = [
  ['nickname', 5, 'nickname'],
  ['nickname', 'x'.repeat(81), 'nickname'],
  ['nickname', 'a\nb', 'nickname'],
  ['nickname', '\ud800', 'nickname'],
  ['type', null, 'type'],
  ['type', 'Normal', 'type'],
  ['ip', '1.2.3.4', 'ip'],
  ['ip', [5], 'ip[0]'],
  ['promptCount', -1, 'promptCount'],
  ['promptCount', '5', 'promptCount'],
  ['promptCount', 1.5, 'promptCount'],
  ['expiresAt', -1, 'expiresAt'],
  ['expiresAt', '2026-01-01', 'expiresAt'],
  ['createdAt', null, 'createdAt'],
  ['disabledAt', true, 'disabledAt'],
  ['disabledReason', 'a\0b', 'disabledReason'],
  ['lastUsedAt', 2 ** 53, 'lastUsedAt'],
  ['tokenLimits', [], 'tokenLimits'],
  ['tokenLimits', { turbo: -2 }, 'tokenLimits.turbo'],
  ['tokenLimits', { turbo: 0.5 }, 'tokenLimits.turbo'],
  ['tokenLimits', { turbo: 1e300 }, 'tokenLimits.turbo'],
  ['tokenCounts', { turbo: -1 }, 'tokenCounts.turbo'],
  ['tokenCounts', { turbo: null }, 'tokenCounts.turbo'],
  ['tokenCounts', null, 'tokenCounts'],
  ['maxIps', -2, 'maxIps'],
  ['ipWindowDays', 0, 'ipWindowDays'],
  ['ipWindowDays', 1.5, 'ipWindowDays'],
  ['ipWindowDays', -2, 'ipWindowDays'],
  ['ipLimitAction', 'ban', 'ipLimitAction'],
  ['requestsPerMinute', '60', 'requestsPerMinute'],
  ['concurrentRequests', 1.1, 'concurrentRequests'],
  ['allowedNetworks', ['10.0.0.0/33'], 'allowedNetworks[0]'],
  ['allowedNetworks', '10.0.0.0/8', 'allowedNetworks'],
  ['allowedModels', [''], 'allowedModels[0]'],
  ['period', 'yearly', 'period'],
  ['adminNote', 'x'.repeat(10_001), 'adminNote'],
  ['tags', 'a', 'tags'],
  ['tags', [1], 'tags[0]'],
  ['tags', [''], 'tags[0]'],
  ['tags', ['a', 'b,c'], 'tags[1]'],
  ['tags', ['a', ' b'], 'tags[1]'],
  ['tags', ['a\u0007'], 'tags[0]'],
  ['tags', ['\ud800'], 'tags[0]'],
  ['tags', ['x'.repeat(51)], 'tags[0]'],
  ['tags', Array.from({ length: 21 }, (_, index) => `t${index}`), 'tags'],
  ['meta', [], 'meta'],
  ['meta', { a: '\0' }, 'meta'],
  ['meta', { a: 'x'.repeat(17_000) }, 'meta'],
  ['meta', JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`), 'meta'],
  ['token', 5, 'token'],
]

const refusing: readonly Scenario[] = wrongFields.flatMap(([field, value, path], index) => [
  {
    name: `a wrong ${field} (${JSON.stringify(value).slice(0, 30)}) is refused for one and in a bulk`,
    steps: [
      put(at(`wrong-${index}`), { [field]: value }, 400, issue(path)),
      put(
        '/admin/users',
        { users: [{ token: 'fine' }, { token: `wrong-${index}`, [field]: value }] },
        400,
        issue(`users[1].${path}`),
      ),
    ],
  },
])

const disabling: readonly Scenario[] = [
  {
    name: 'DELETE disables, once, and PUT enables again',
    steps: [
      put(at('off'), {}),
      {
        ...remove(at('off?disabledReason=sp%C3%A4t+%26+leer'), 200, {
          disabledAt: startAt,
          disabledReason: 'spät & leer',
        }),
      },
      { ...remove(at('off'), 200, { disabledAt: startAt, disabledReason: 'spät & leer' }), afterMs: 1000 },
      remove(at('off?disabledReason='), 200, { disabledReason: 'spät & leer' }),
      remove(at('off?disabledReason=other'), 200, { disabledAt: startAt, disabledReason: 'other' }),
      put(at('off'), { disabledAt: null }, 200, { disabledAt: absent, disabledReason: absent }),
    ],
  },
  {
    name: 'disabledAt may lie in the future',
    steps: [put(at('later'), { disabledAt: startAt + 9e9 }, 200, { disabledAt: startAt + 9e9 })],
  },
  { name: 'DELETE of nobody', steps: [remove(at('nobody'), 404, { error: 'Not found' })] },
  {
    name: 'DELETE with a bad reason',
    steps: [
      put(at('reason'), {}),
      remove(at('reason?disabledReason=%zz'), 400, issue('disabledReason')),
      remove(at('reason?disabledReason=%ff'), 400, issue('disabledReason')),
      remove(at('reason?disabledReason=%00'), 400, issue('disabledReason')),
      remove(at('reason?disabledReason=a&disabledReason=b'), 400, issue('disabledReason')),
      remove(at(`reason?disabledReason=${'x'.repeat(1001)}`), 400, issue('disabledReason')),
      remove(at('reason?reason=left'), 400, issue('reason', /known are disabledReason$/)),
    ],
  },
]

const bulk: readonly Scenario[] = [
  {
    name: 'PUT many creates and merges, in order, with duplicates counted',
    steps: [
      put(at('bulk-a'), { nickname: 'old', adminNote: 'kept' }),
      put(
        '/admin/users',
        {
          users: [
            { token: 'bulk-a', nickname: 'one' },
            { token: 'bulk b/😀', type: 'special' },
            { token: 'bulk-a', nickname: 'two' },
          ],
        },
        200,
        {
          upserted_users: [
            { token: 'bulk-a', adminNote: 'kept' },
            { token: 'bulk b/😀', type: 'special' },
            { token: 'bulk-a', nickname: 'two' },
          ],
          count: 3,
        },
      ),
      get(at('bulk-a'), 200, { nickname: 'two', adminNote: 'kept' }),
    ],
  },
  {
    name: 'PUT many of none',
    steps: [put('/admin/users', { users: [] }, 200, { upserted_users: [], count: 0 })],
  },
  { name: 'PUT many without users', steps: [put('/admin/users', {}, 400, issue('users'))] },
  {
    name: 'PUT many without a body',
    steps: [{ send: { method: 'PUT', path: '/admin/users' }, status: 400, answer: issue('users') }],
  },
  {
    name: 'an element without token',
    steps: [
      put('/admin/users', { users: [{ token: 'bulk-x' }, { nickname: 'n' }] }, 400, issue('users[1].token')),
    ],
  },
  {
    name: 'an element that is no object',
    steps: [put('/admin/users', { users: [{ token: 'bulk-x' }, null] }, 400, issue('users[1]'))],
  },
  {
    name: 'an element with an empty token',
    steps: [put('/admin/users', { users: [{ token: '' }] }, 400, issue('users[0].token'))],
  },
  {
    name: 'an element whose token is too long',
    steps: [put('/admin/users', { users: [{ token: 'x'.repeat(513) }] }, 400, issue('users[0].token'))],
  },
  {
    name: 'an element whose token looks like an id',
    steps: [
      put(
        '/admin/users',
        { users: [{ token: 'usr_000000000000000000000000' }] },
        400,
        issue('users[0].token'),
      ),
    ],
  },
  {
    name: 'one bad element changes nothing, and is named also where only the store can know',
    steps: [
      put(
        '/admin/users',
        {
          users: [
            { token: 'bulk-c', nickname: 'c' },
            { token: 'bulk-d', type: 'temporary' },
          ],
        },
        400,
        issue('users[1].expiresAt'),
      ),
      get(at('bulk-c'), 404),
    ],
  },
  {
    name: 'too many at once are told how many may come',
    steps: [
      put(
        '/admin/users',
        { users: Array.from({ length: 21 }, (_, index) => ({ token: `many-${index}` })) },
        413,
        { error: /^At most 20 users in one call.*BULK_USERS_MAX/ },
      ),
    ],
  },
]

const paths: readonly Scenario[] = [
  ...[
    ['a%2Fb', 'a/b'],
    ['%20%20', '  '],
    ['..', '..'],
    ['%2e%2e', '..'],
    ['%F0%9F%98%80', '😀'],
    ['x'.repeat(512), 'x'.repeat(512)],
    ['a+b', 'a+b'],
    ['%25', '%'],
    ['a;b=c', 'a;b=c'],
    ['%3Fq', '?q'],
    ['*', '*'],
    [':token', ':token'],
    ['%7Btoken%7D', '{token}'],
    ['%5C', '\\'],
    ['null', 'null'],
  ].map(([path = '', name]) => ({
    name: `the path ${path.slice(0, 20)} is the token ${name?.slice(0, 20)}`,
    steps: [
      put(at(path), { nickname: 'odd' }, 200, { token: name }),
      get(at(path), 200, { token: name }),
      remove(at(path), 200, { token: name }),
    ],
  })),
  ...['%', '%zz', '%ff', '%E0%A4', 'a%2'].map((path) => ({
    name: `the broken escape ${path} is refused`,
    steps: [
      get(at(path), 400, { error: anything }),
      put(at(path), {}, 400, issue('token')),
      remove(at(path), 400, issue('token')),
    ],
  })),
  ...['%00', 'a%0Ab', '%7F', 'x'.repeat(513)].map((path) => ({
    name: `the impossible token ${path.slice(0, 10)} is refused`,
    steps: [
      put(at(path), {}, 400, issue('token')),
      remove(at(path), 400, issue('token')),
      get(at(path), 400),
    ],
  })),
  { name: 'GET of nobody', steps: [get(at('nobody'), 404, { error: 'Not found', code: 'not_found' })] },
  {
    name: 'paths that are not there',
    steps: [
      '/admin/users/',
      '/admin/users/a/b',
      '/admin',
      '/admin/other',
      '/nothing',
      '//admin/users',
      '/ADMIN/users',
      '/admin%2Fusers',
    ].map((path) => get(path, 404, { error: 'Not found', requestId: /^req_/ })),
  },
  {
    name: 'the absolute form of a target',
    steps: [get('http://example.com/admin/users?limit=1', 200, { users: anything })],
  },
  { name: 'a backslash in the path', steps: [get('/admin\\users', 400, { error: anything })] },
]

const methods: readonly Scenario[] = [
  ...['PATCH', 'OPTIONS', 'DELETE', 'TRACE'].map((method) => ({
    name: `${method} of the list`,
    steps: [
      {
        send: { method, path: '/admin/users' },
        status: 405,
        answer: { error: anything },
        headers: { allow: 'GET, HEAD, POST, PUT' },
      },
    ],
  })),
  ...['PATCH', 'OPTIONS', 'POST'].map((method) => ({
    name: `${method} of one user`,
    steps: [
      {
        send: { method, path: at('nobody') },
        status: 405,
        answer: { error: anything },
        headers: { allow: 'GET, HEAD, PUT, DELETE' },
      },
    ],
  })),
  {
    name: 'HEAD is GET without a body',
    steps: [
      put(at('head'), {}),
      { send: { method: 'HEAD', path: at('head') }, status: 200, headers: { etag: '"1"' } },
      { send: { method: 'HEAD', path: '/admin/users' }, status: 200 },
    ],
  },
]

const raw = (
  rawBody: string | Buffer,
  headers: Record<string, string | undefined> = {},
  path = at('body'),
) => ({
  method: 'PUT',
  path,
  rawBody,
  headers,
})
const bodies: readonly Scenario[] = [
  ...[
    '{',
    '{"a":1,}',
    'nickname',
    "{'a':1}",
    '{"a":1} x',
    '\ufeff\ufeff{}',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ].map((body) => ({
    name: `bad JSON (${JSON.stringify(String(body))})`,
    steps: [
      { send: raw(body), status: 400, answer: { code: 'bad_json' } },
      { send: raw(body, {}, '/admin/users'), status: 400, answer: { code: 'bad_json' } },
    ],
  })),
  ...['[]', '"text"', 'null', '5', 'true'].map((body) => ({
    name: `a body that is ${body}`,
    steps: [
      { send: raw(body), status: 400, answer: issue('') },
      { send: raw(body, {}, '/admin/users'), status: 400 },
      { send: { ...raw(body, {}, '/admin/users'), method: 'POST' }, status: 400 },
    ],
  })),
  ...[
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/xml',
    '',
  ].map((type) => ({
    name: `the content type "${type}"`,
    steps: [
      { send: raw('{}', { 'content-type': type }), status: 415, answer: { error: /application\/json/ } },
    ],
  })),
  ...[
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/merge-patch+json',
    'application/vnd.api+json;x=y',
    undefined,
  ].map((type) => ({
    name: `the content type "${type}" is fine`,
    steps: [{ send: raw('{}', { 'content-type': type }), status: 200 }],
  })),
  {
    name: 'a content type without a body is fine',
    steps: [
      {
        send: { method: 'POST', path: '/admin/users', headers: { 'content-type': 'text/plain' } },
        status: 200,
      },
    ],
  },
  { name: 'a compressed body', steps: [{ send: raw('{}', { 'content-encoding': 'gzip' }), status: 415 }] },
  { name: 'a body as long as allowed', steps: [{ send: raw(`{}${' '.repeat(65_534)}`), status: 200 }] },
  {
    name: 'a body that is too long',
    steps: [{ send: raw(`{}${' '.repeat(65_535)}`), status: 413, answer: { code: 'body_too_large' } }],
  },
  {
    name: 'a body that is too long and does not say so',
    steps: [
      {
        send: raw(`{}${' '.repeat(70_000)}`, { 'content-length': undefined, 'transfer-encoding': 'chunked' }),
        status: 413,
      },
    ],
  },
  {
    name: 'nesting that would exhaust a stack',
    steps: [{ send: raw(`{"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`), status: 200 }],
  },
]

const credentials: readonly Scenario[] = [
  ...[undefined, '', 'Bearer', 'Bearer  ', 'Basic dTpw', adminSecret].map((authorization) => ({
    name: `the authorization "${authorization}" is none`,
    steps: [
      {
        send: { method: 'GET', path: '/admin/users', headers: { authorization } },
        status: 401,
        answer: { code: 'missing_credential' },
        headers: { 'www-authenticate': /^Bearer/ },
      },
    ],
  })),
  {
    name: 'the scheme in any case',
    steps: [
      {
        send: {
          method: 'GET',
          path: '/admin/users?limit=1',
          headers: { authorization: `bEARER  ${adminSecret}` },
        },
        status: 200,
      },
    ],
  },
  {
    name: "a user's access token opens nothing here",
    steps: [
      put(at('holder'), {}),
      {
        send: {
          method: 'GET',
          path: '/admin/users',
          headers: { authorization: 'Bearer holder', 'x-forwarded-for': '192.0.2.50' },
        },
        status: 401,
        answer: { code: 'unknown_admin_key' },
      },
    ],
  },
  {
    name: 'x-api-key is no admin credential',
    steps: [
      {
        send: {
          method: 'GET',
          path: '/admin/users',
          headers: { authorization: undefined, 'x-api-key': adminSecret },
        },
        status: 401,
      },
    ],
  },
  {
    name: 'authentication comes before everything else',
    steps: [
      { send: { ...raw('{', { authorization: undefined }) }, status: 401 },
      { send: { method: 'PATCH', path: '/admin/users', headers: { authorization: undefined } }, status: 401 },
      { send: { method: 'GET', path: '/admin/nothing', headers: { authorization: undefined } }, status: 401 },
      { send: raw('x'.repeat(70_000), { authorization: undefined }), status: 401 },
    ],
  },
  {
    name: 'problem+json for who asks',
    steps: [
      {
        send: {
          method: 'GET',
          path: at('nobody'),
          headers: { accept: 'application/problem+json, application/json' },
        },
        status: 404,
        answer: {
          error: 'Not found',
          type: 'urn:tollgate:error:not_found',
          title: 'Not found',
          status: 404,
          detail: 'Not found',
        },
        headers: { 'content-type': 'application/problem+json' },
      },
      {
        send: { method: 'GET', path: at('nobody'), headers: { accept: '*/*' } },
        status: 404,
        answer: { title: absent },
        headers: { 'content-type': 'application/json' },
      },
    ],
  },
]

let wrongKeys = 0
const wrongKey = (
  address: string,
  status: number,
  headers?: Step['headers'],
  key = `wrong-${wrongKeys++}`,
): Step => ({
  send: {
    method: 'GET',
    path: '/admin/users',
    headers: { authorization: `Bearer ${key}`, 'x-forwarded-for': address },
  },
  status,
  ...(headers && { headers }),
})
const rightKey = (address: string, status: number): Step => ({
  send: { method: 'GET', path: '/admin/users?limit=1', headers: { 'x-forwarded-for': address } },
  status,
})
const throttling: readonly Scenario[] = [
  {
    name: 'ten wrong keys are free, then it takes longer each time, and the right one is let in all the same',
    steps: [
      ...Array.from({ length: 11 }, () => wrongKey('203.0.113.9', 401)),
      wrongKey('203.0.113.9', 429, { 'retry-after': '1' }),
      rightKey('203.0.113.9', 200),
      wrongKey('203.0.113.9', 429, { 'retry-after': '1' }),
      { ...wrongKey('203.0.113.9', 401), afterMs: 1000 },
      wrongKey('203.0.113.9', 429, { 'retry-after': '2' }),
      { ...rightKey('203.0.113.9', 200), afterMs: 2000 },
      wrongKey('203.0.113.9', 401),
      wrongKey('203.0.113.9', 429, { 'retry-after': '4' }),
    ],
  },
  {
    name: 'one wrong key may be repeated for ever',
    steps: [
      ...Array.from({ length: 40 }, () => wrongKey('203.0.113.11', 401, {}, 'stale')),
      rightKey('203.0.113.11', 200),
    ],
  },
  {
    name: 'an IPv6 /64 is one place, and what the client itself wrote to the left does not count',
    steps: [
      ...Array.from({ length: 11 }, (_, index) =>
        wrongKey(`10.9.9.${index}, 2001:db8:0:7::${index + 1}`, 401),
      ),
      wrongKey('2001:db8:0:7:ffff::1', 429),
      wrongKey('2001:db8:0:8::1', 401),
    ],
  },
]

const ifMatch = (etag: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: { method: 'PUT', path: at('tagged'), body, headers: { 'if-match': etag } },
  status,
  answer,
})
const versions: readonly Scenario[] = [
  {
    name: 'If-Match holds an edit to the version that was read',
    steps: [
      { ...put(at('tagged'), { nickname: '1' }), headers: { etag: '"1"' } },
      ifMatch('"1"', { nickname: '2' }, 200, { nickname: '2' }),
      ifMatch('"1"', { nickname: '3' }, 412, { code: 'precondition_failed' }),
      ifMatch('"1", W/"2"', { nickname: '4' }, 200, { nickname: '4' }),
      ifMatch('"abc"', {}, 412),
      ifMatch('*', { nickname: '5' }, 200, { nickname: '5' }),
      { send: { method: 'DELETE', path: at('tagged'), headers: { 'if-match': '"1"' } }, status: 412 },
      {
        send: { method: 'DELETE', path: at('tagged'), headers: { 'if-match': '"4"' } },
        status: 200,
        answer: { disabledAt: anything },
      },
      { send: { method: 'DELETE', path: at('nobody'), headers: { 'if-match': '*' } }, status: 404 },
      { send: { method: 'PUT', path: at('nobody'), body: {}, headers: { 'if-match': '*' } }, status: 412 },
      { send: { method: 'PUT', path: at('nobody'), body: {}, headers: { 'if-match': '"1"' } }, status: 412 },
      {
        send: {
          method: 'PUT',
          path: at('usr_000000000000000000000000'),
          body: {},
          headers: { 'if-match': '"1"' },
        },
        status: 404,
      },
    ],
  },
]

const keyed = (
  key: string,
  body: unknown,
  status: number,
  more: Partial<Step> & { readonly as?: string } = {},
): Step => {
  const { as = adminSecret, ...rest } = more
  const headers = { 'idempotency-key': key, authorization: `Bearer ${as}` }
  return {
    send: { method: 'POST', path: '/admin/users', headers, ...(body !== undefined && { body }) },
    status,
    ...rest,
  }
}
const repeats: readonly Scenario[] = [
  {
    name: 'an Idempotency-Key makes a POST safe to repeat',
    steps: [
      keyed(
        'key-1',
        { nickname: 'once-only', tokenLimits: { turbo: 1, claude: 2 }, meta: { a: 1, b: 2 } },
        200,
        {
          headers: { 'idempotency-replayed': absent },
        },
      ),
      keyed(
        'key-1',
        { meta: { b: 2, a: 1 }, tokenLimits: { claude: 2, turbo: 1 }, nickname: 'once-only' },
        200,
        {
          headers: { 'idempotency-replayed': 'true' },
        },
      ),
      get('/admin/users?q=once-only', 200, { total: 1 }),
      keyed('key-1', { nickname: 'other' }, 409, { answer: { code: 'conflict' } }),
      keyed('key-1', { nickname: 'once-only' }, 200, {
        as: otherAdminSecret,
        headers: { 'idempotency-replayed': absent },
      }),
      keyed('key-2', undefined, 200),
      keyed('key-2', {}, 200, { headers: { 'idempotency-replayed': 'true' } }),
      keyed('', {}, 400),
      keyed('x'.repeat(256), {}, 400),
      keyed('with space', {}, 400),
    ],
  },
]

const listing: readonly Scenario[] = [
  {
    name: 'bad parameters of the list',
    steps: [
      'limit=0',
      'limit=501',
      'limit=1.5',
      'limit=',
      'limit=-1',
      'limit=1e2',
      'cursor=nonsense',
      'cursor=',
      'sort=token',
      'sort=',
      'type=admin',
      'type=',
      'state=gone',
      'q=%00',
      `q=${'x'.repeat(201)}`,
      'limit=1&limit=2',
      '%zz=1',
      'q=%ff',
      `cursor=${Buffer.from('{"total":1,"sort":"nickname","value":5,"id":"usr_000000000000000000000000"}').toString('base64url')}`,
    ].map((query) => get(`/admin/users?${query}`, 400, { code: 'bad_request', issues: anything })),
  },
  {
    name: 'filters',
    steps: [
      put('/admin/users', {
        users: [
          { token: 'flt-active-0001', nickname: 'Filter Me' },
          { token: 'flt-off-0002', nickname: 'filter me too', disabledAt: 1 },
          { token: 'flt-gone-0003', nickname: 'FILTER ME NOT', type: 'temporary', expiresAt: 1 },
          {
            token: 'flt-later-0004',
            nickname: 'filter me, special',
            type: 'special',
            disabledAt: startAt + 9e11,
          },
        ],
      }),
      get('/admin/users?q=filter%20me&sort=createdAt', 200, { count: 4, total: 4, nextCursor: absent }),
      get('/admin/users?q=filter+me&state=disabled', 200, {
        users: [{ token: 'flt-off-0002' }],
        count: 1,
        total: 1,
      }),
      get('/admin/users?q=filter+me&state=expired', 200, { users: [{ token: 'flt-gone-0003' }] }),
      get('/admin/users?q=filter+me&state=active&type=special', 200, {
        users: [{ token: 'flt-later-0004' }],
      }),
      get('/admin/users?q=filter+me&type=temporary', 200, { users: [{ token: 'flt-gone-0003' }] }),
      get('/admin/users?q={id:flt-off-0002}', 200, { users: [{ token: 'flt-off-0002' }], total: 1 }),
      get('/admin/users?q=%E2%80%A6002', 200, { users: [{ token: 'flt-off-0002' }] }),
      get('/admin/users?q=no-such-user', 200, { users: [], count: 0, total: 0, nextCursor: absent }),
      get('/admin/users?q=filter+me&sort=-nickname&limit=2', 200, {
        count: 2,
        total: 4,
        nextCursor: anything,
      }),
    ],
  },
  {
    name: 'an unknown parameter is refused, and the known are told',
    steps: [
      get(
        '/admin/users?page=2',
        400,
        issue('page', /known are limit, cursor, sort, q, type, state, tag, .*addresses$/),
      ),
      get('/admin/users?limit=1&Limit=2', 400, issue('Limit')),
      get('/admin/users?', 200, { users: anything }),
    ],
  },
]

export const scenarios: readonly Scenario[] = [
  ...creating,
  ...merging,
  ...refusing,
  ...disabling,
  ...bulk,
  ...paths,
  ...methods,
  ...bodies,
  ...credentials,
  ...throttling,
  ...versions,
  ...repeats,
  ...listing,
  ...quotaScenarios,
  ...keyScenarios,
  ...usageScenarios,
  ...requestScenarios,
  ...routeScenarios,
  ...figureScenarios,
  ...timeScenarios,
  ...ignoredScenarios,
  ...accessTokenScenarios,
  ...claimScenarios,
  ...frontEndScenarios,
  ...auditScenarios,
  ...transferScenarios,
  ...bulkScenarios,
]
