import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'
import { type SentRequest, startAt, verifierSecret } from './support/admin-server.ts'

/** How admin keys are made, listed and taken away; played with the contract's scenarios, by the same rules. */

const send = (method: string, path: string, status: number, answer?: unknown, body?: unknown): Step => ({
  send: { method, path, ...(body !== undefined && { body }) },
  status,
  answer,
})
const make = (body: unknown, status = 200, answer?: unknown) =>
  send('POST', '/admin/keys', status, answer, body)
/** Made at an instant of its own, so that its place in the list is known. */
const makeLater = (afterMs: number, body: unknown, answer: unknown): Step => ({
  ...make(body, 200, answer),
  afterMs,
})
const as = (secret: string, request: SentRequest): SentRequest => ({
  ...request,
  headers: { authorization: `Bearer ${secret}`, ...request.headers },
})
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})

const from = (address: string, secret: string): SentRequest =>
  as(secret, { method: 'GET', path: '/admin/keys', headers: { 'x-forwarded-for': address } })
let guesses = 0
const guessing = (address: string, times: number): Step[] =>
  Array.from({ length: times }, () => ({ send: from(address, `guess-${guesses++}`), status: 401 }))
const elsewhere = (address: string, times: number): Step[] =>
  Array.from({ length: times }, () => ({ send: from(address, verifierSecret), status: 403 }))

const throttling: readonly Scenario[] = [
  {
    name: 'a good key in the wrong place is no guess',
    steps: [
      ...elsewhere('198.51.100.1', 15),
      {
        send: { method: 'GET', path: '/admin/keys', headers: { 'x-forwarded-for': '198.51.100.1' } },
        status: 200,
      },
    ],
  },
  {
    name: 'nor does it take back the guesses that were made beside it',
    steps: [
      ...guessing('198.51.100.2', 10),
      ...elsewhere('198.51.100.2', 1),
      ...guessing('198.51.100.2', 1),
      { send: from('198.51.100.2', 'a-guess'), status: 429 },
      // Behind the closed door a good key of another scope is told from nonsense no more.
      { send: from('198.51.100.2', verifierSecret), status: 429 },
    ],
  },
]

const whoami = (headers: SentRequest['headers'] = {}): SentRequest => ({
  method: 'GET',
  path: '/admin/whoami',
  headers,
})

const managing: readonly Scenario[] = [
  {
    name: 'a caller is told of its address as it counts, and of its key',
    steps: [
      {
        send: whoami(),
        status: 200,
        answer: {
          address: '127.0.0.1',
          peer: '127.0.0.1',
          key: { id: /^adk_/, name: 'admin', scopes: ['admin'], createdAt: startAt, key: absent },
        },
      },
      {
        send: whoami({ 'x-forwarded-for': '203.0.113.9, 2001:DB8:0::9' }),
        status: 200,
        answer: { address: '2001:db8::9', peer: '127.0.0.1' },
      },
      { send: whoami({ authorization: undefined }), status: 401 },
      { send: as(verifierSecret, whoami()), status: 403 },
      { send: { ...whoami(), path: '/admin/whoami?x=1' }, status: 400, answer: issue('x') },
    ],
  },
  {
    name: 'a key for another administrator',
    steps: [
      makeLater(
        10,
        { name: 'ann' },
        {
          id: /^adk_[0-9a-z]{24}$/,
          name: 'ann',
          key: /^tga-[0-9A-Za-z]{40}$/,
          scopes: ['admin'],
          createdAt: startAt + 10,
          expiresAt: absent,
        },
      ),
    ],
  },
  {
    name: 'a key for another gateway, which ends',
    steps: [
      makeLater(
        20,
        { name: 'edge', scopes: ['verifier', 'verifier'], expiresAt: startAt + 1000 },
        {
          key: /^tgv-/,
          scopes: ['verifier'],
          expiresAt: startAt + 1000,
        },
      ),
      makeLater(
        10,
        { name: 'both', scopes: ['admin', 'verifier'], expiresAt: null },
        {
          key: /^tga-/,
          scopes: ['admin', 'verifier'],
          expiresAt: absent,
        },
      ),
    ],
  },
  {
    name: 'keys are listed oldest first, and never shown again',
    steps: [
      send('GET', '/admin/keys', 200, {
        keys: ['admin', 'other', 'verifier', 'ann', 'edge', 'both'].map((name) => ({
          id: /^adk_/,
          name,
          scopes: anything,
          createdAt: anything,
          key: absent,
          secret: absent,
          lookup: absent,
        })),
        count: 6,
      }),
    ],
  },
  ...(
    [
      ['without a name', {}, 'name'],
      ['with an empty name', { name: ' ' }, 'name'],
      ['with a name of two lines', { name: 'a\nb' }, 'name'],
      ['with too long a name', { name: 'x'.repeat(81) }, 'name'],
      ['with a scope that is none', { name: 'x', scopes: ['root'] }, 'scopes[0]'],
      ['with no scope', { name: 'x', scopes: [] }, 'scopes'],
      ['with a scope that is no list', { name: 'x', scopes: 'admin' }, 'scopes'],
      ['that has expired', { name: 'x', expiresAt: startAt }, 'expiresAt'],
      ['that expires in words', { name: 'x', expiresAt: 'soon' }, 'expiresAt'],
      ['with a field that is misspelt', { name: 'x', scope: 'verifier' }, 'scope'],
      ['with a secret of its own', { name: 'x', key: 'tga-mine' }, 'key'],
    ] as const
  ).map(([name, body, path]) => ({
    name: `a key ${name} is not made`,
    steps: [make(body, 400, issue(path))],
  })),
  {
    name: 'a key is made of JSON only, and not of too much',
    steps: [
      { send: { method: 'POST', path: '/admin/keys' }, status: 400, answer: issue('name') },
      make([], 400, { code: 'bad_request' }),
      {
        send: { method: 'POST', path: '/admin/keys', rawBody: '{' },
        status: 400,
        answer: { code: 'bad_json' },
      },
      {
        send: {
          method: 'POST',
          path: '/admin/keys',
          rawBody: 'name=x',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
        status: 415,
      },
      make({ name: 'x'.repeat(70_000) }, 413),
    ],
  },
  ...(
    [
      ['from no network', { name: 'x', allowedNetworks: [] }, 'allowedNetworks'],
      ['from a network that is none', { name: 'x', allowedNetworks: ['10.0.0.0/33'] }, 'allowedNetworks[0]'],
    ] as const
  ).map(([name, body, path]) => ({
    name: `a key ${name} is not made`,
    steps: [make(body, 400, issue(path))],
  })),
  {
    name: 'a key with scopes, from some networks',
    steps: [
      makeLater(
        5,
        { name: 'reader', scopes: ['users:read', 'usage:read'], allowedNetworks: ['192.0.2.0/24', '::1'] },
        {
          key: /^tga-/,
          scopes: ['users:read', 'usage:read'],
          allowedNetworks: ['192.0.2.0/24', '::1'],
          lastUsedAt: absent,
          previousUntil: absent,
        },
      ),
    ],
  },
  {
    name: 'a key gets another secret, and keeps the rest',
    steps: [
      send(
        'POST',
        '/admin/keys/{key:reader}/rotate',
        200,
        { id: /^adk_/, name: 'reader', key: /^tga-/, rotatedAt: startAt, previousUntil: startAt + 1000 },
        { previousUntil: startAt + 1000 },
      ),
      send('POST', '/admin/keys/{key:reader}/rotate', 200, { previousUntil: absent }),
      send('POST', '/admin/keys/{key:edge}/rotate', 200, { key: /^tgv-/, scopes: ['verifier'] }, {}),
      send('POST', '/admin/keys/adk_000000000000000000000000/rotate', 404, { code: 'not_found' }, {}),
      send('POST', '/admin/keys/%zz/rotate', 404),
      ...(
        [
          [{ previousUntil: startAt }, 'previousUntil'],
          [{ previousUntil: startAt + 91 * 86_400_000 }, 'previousUntil'],
          [{ previousUntil: 'soon' }, 'previousUntil'],
          [{ key: 'tga-mine' }, 'key'],
        ] as const
      ).map(([body, path]) => send('POST', '/admin/keys/{key:reader}/rotate', 400, issue(path), body)),
      send('DELETE', '/admin/keys/{key:reader}', 200),
    ],
  },
  {
    name: 'a key that is deleted is gone',
    steps: [
      send('DELETE', '/admin/keys/{key:ann}', 200, { id: /^adk_/ }),
      send('DELETE', '/admin/keys/adk_000000000000000000000000', 404, { code: 'not_found' }),
      send('DELETE', '/admin/keys/%zz', 404),
      send('DELETE', '/admin/keys/ann', 404),
      send('DELETE', '/admin/keys/{key:both}', 200),
      send('DELETE', '/admin/keys/{key:other}', 200),
    ],
  },
  {
    name: 'the last key of an administrator stays',
    steps: [
      send('DELETE', '/admin/keys/{key:admin}', 409, { error: /last key/, code: 'conflict' }),
      send('DELETE', '/admin/keys/{key:edge}', 200),
      send('GET', '/admin/keys', 200, { keys: [{ name: 'admin' }, { name: 'verifier' }], count: 2 }),
    ],
  },
  {
    name: 'other methods',
    steps: [
      { ...send('PUT', '/admin/keys', 405), headers: { allow: 'GET, HEAD, POST' } },
      { ...send('GET', '/admin/keys/adk_1', 405), headers: { allow: 'DELETE' } },
    ],
  },
]

export const keyScenarios: readonly Scenario[] = [...throttling, ...managing]
