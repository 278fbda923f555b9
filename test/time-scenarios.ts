import type { Scenario, Step } from './contract-scenarios.ts'
import { absent } from './support/admin-matching.ts'
import { startAt } from './support/admin-server.ts'

/** Times on their way in: in seconds by mistake, as text, and those that say no instant. */
const fields = ['createdAt', 'lastUsedAt', 'disabledAt', 'expiresAt'] as const
const inSeconds = Math.floor(startAt / 1000) + 3600

const hint = (path: string) => ({
  code: 'bad_request',
  issues: [{ path, message: new RegExp(`seconds.*${inSeconds * 1000}`) }],
})
const notAnInstant = (path: string) => ({
  code: 'bad_request',
  issues: [{ path, message: /epoch milliseconds.*2026-11-22T13:00:00Z/ }],
})
const send = (method: string, path: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: { method, path, body },
  status,
  answer,
})
const at = (name: string) => `/admin/users/${name}`

const seconds: readonly Scenario[] = fields.map((field) => ({
  name: `${field} in seconds is refused on every way in, and the milliseconds are told`,
  steps: [
    send('PUT', at(`seconds-${field}`), { expiresAt: startAt + 1e9 }, 200),
    send('PUT', at(`seconds-${field}`), { [field]: inSeconds }, 400, hint(field)),
    send('PUT', at(`seconds-${field}`), { type: 'temporary', [field]: inSeconds }, 400, hint(field)),
    send('POST', '/admin/users', { [field]: inSeconds }, 400, hint(field)),
    send(
      'PUT',
      '/admin/users',
      { users: [{ token: 'seconds-bulk' }, { token: `seconds-${field}`, [field]: inSeconds }] },
      400,
      hint(`users[1].${field}`),
    ),
    ...[99_999_999, 100_000_000_000, 0, startAt].map((value) =>
      send('PUT', at(`seconds-${field}`), { [field]: value }, 200, { [field]: value }),
    ),
    ...[100_000_000, 99_999_999_999].map((value) =>
      send('PUT', at(`seconds-${field}`), { [field]: value }, 400, {
        issues: [{ path: field, message: new RegExp(`seconds.*${value * 1000}`) }],
      }),
    ),
  ],
}))

const texts: readonly Scenario[] = fields.map((field) => ({
  name: `${field} is taken as text with its offset, and answered as a number`,
  steps: [
    ...[
      ['2027-01-31T12:00:00Z', Date.parse('2027-01-31T12:00:00Z')],
      ['2027-01-31T12:00:00.25+02:00', Date.parse('2027-01-31T10:00:00.250Z')],
      ['1999-12-31t23:59z', Date.parse('1999-12-31T23:59:00Z')],
    ].flatMap(([text, value]) => [
      send('PUT', at(`text-${field}`), { [field]: text }, 200, { [field]: value }),
      send('PUT', '/admin/users', { users: [{ token: `text-${field}`, [field]: text }] }, 200, {
        upserted_users: [{ [field]: value }],
      }),
    ]),
    ...[
      '2027-01-31',
      '2027-01-31T12:00:00',
      '2027-02-30T00:00:00Z',
      String(startAt),
      '',
      'soon',
      {},
      [],
      true,
    ].map((value) => send('PUT', at(`text-${field}`), { [field]: value }, 400, notAnInstant(field))),
  ],
}))

export const timeScenarios: readonly Scenario[] = [
  ...seconds,
  ...texts,
  {
    name: 'a temporary user is made until a time that is text',
    steps: [
      send('POST', '/admin/users', { type: 'temporary', expiresAt: '2099-01-01T00:00:00+01:00' }, 200, {
        ignored: absent,
      }),
      send('POST', '/admin/users', { type: 'temporary', expiresAt: '2020-01-01T00:00:00Z' }, 400, {
        issues: [{ path: 'expiresAt', message: /in the future/ }],
      }),
    ],
  },
  {
    name: 'a key takes the same times',
    steps: [
      send('POST', '/admin/keys', { name: 'text-key', expiresAt: '2099-01-01T00:00:00Z' }, 200, {
        expiresAt: Date.parse('2099-01-01T00:00:00Z'),
      }),
      send('POST', '/admin/keys', { name: 'seconds-key', expiresAt: inSeconds }, 400, hint('expiresAt')),
      send(
        'POST',
        '/admin/keys',
        { name: 'odd-key', expiresAt: 2 ** 53 - 1 },
        400,
        notAnInstant('expiresAt'),
      ),
      send(
        'POST',
        '/admin/keys',
        { name: 'odd-key', expiresAt: '2099-01-01' },
        400,
        notAnInstant('expiresAt'),
      ),
    ],
  },
  {
    name: 'a usage query takes no seconds either',
    steps: ['from', 'to'].flatMap((name) => [
      send('GET', `/admin/usage?${name}=${inSeconds}`, undefined, 400, hint(name)),
      send('GET', `/admin/users/usage-user/usage?${name}=${inSeconds}`, undefined, 400, hint(name)),
    ]),
  },
]
