import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readConfig } from '#config/read.ts'
import { ConfigError } from '#config/settings.ts'
import { type DatabaseUrl, parseDatabaseUrl, whereOf } from '#storage/database-url.ts'
import { openServers } from '#storage/postgres/servers.ts'

function parsed(text: string): DatabaseUrl {
  const answer = parseDatabaseUrl(text)
  return answer.kind === 'read' ? answer.value : assert.fail(`${text}: ${answer.message}`)
}

/** The URL, where it leads without user and password, and what is to be read from it. */
const forms: readonly (readonly [string, string, Partial<DatabaseUrl>])[] = [
  [
    'postgres://ann:pw@db:5433/tollgate',
    'db:5433/tollgate',
    { user: 'ann', password: 'pw', database: 'tollgate', hosts: [{ host: 'db', port: 5433 }] },
  ],
  ['postgresql://ann@db/tollgate', 'db/tollgate', { user: 'ann', hosts: [{ host: 'db' }] }],
  ['postgres://ann@/tollgate', 'localhost/tollgate', { hosts: [{}] }],
  ['postgres://db', 'db/', { hosts: [{ host: 'db' }] }],
  ['postgres://ann@db', 'db/ann', {}],
  ['postgres:///tollgate', 'localhost/tollgate', { hosts: [{}], database: 'tollgate' }],
  [
    'postgres://u:p@h1:5432,h2:5433/db?target_session_attrs=read-write',
    'h1:5432,h2:5433/db',
    {
      hosts: [
        { host: 'h1', port: 5432 },
        { host: 'h2', port: 5433 },
      ],
    },
  ],
  [
    'postgres://u:p@h1,[2001:db8::1]:5433,[::1]/db?target_session_attrs=primary',
    'h1,[2001:db8::1]:5433,[::1]/db',
    { hosts: [{ host: 'h1' }, { host: '2001:db8::1', port: 5433 }, { host: '::1' }] },
  ],
  [
    'postgres://u:p@/db?host=h1,h2&port=6432',
    'h1:6432,h2:6432/db',
    {
      hosts: [
        { host: 'h1', port: 6432 },
        { host: 'h2', port: 6432 },
      ],
    },
  ],
  [
    'postgres://u@/db?host=/var/run/postgresql&port=5433',
    '/var/run/postgresql:5433/db',
    { hosts: [{ host: '/var/run/postgresql', port: 5433 }], database: 'db' },
  ],
  [
    'postgres://u@%2Fvar%2Frun%2Fpostgresql/db',
    '/var/run/postgresql/db',
    { hosts: [{ host: '/var/run/postgresql' }] },
  ],
  [
    'postgres://u%40x:p%40%23%2F%3F%25%3A:%20w@db/t%C3%A9',
    'db/té',
    { user: 'u@x', password: 'p@#/?%:: w', database: 'té' },
  ],
  [
    'postgres://db/d?user=ann%40x&password=p%23w&dbname=other',
    'db/other',
    { user: 'ann@x', password: 'p#w' },
  ],
  [
    'postgres://db/d?options=-c%20search_path%3Dmine%20-cjit%3Don%20--work-mem%3D4MB',
    'db/d',
    {
      settings: new Map([
        ['search_path', 'mine'],
        ['jit', 'on'],
        ['work_mem', '4MB'],
      ]),
    },
  ],
  ['postgres://db/d?options=-c+jit=on', 'db/d', { options: '-c jit=on', settings: new Map([['jit', 'on']]) }],
  ['postgres://db/d?statement_timeout=9000', 'db/d', { settings: new Map([['statement_timeout', '9000']]) }],
  ['postgres://db/d?sslmode=require', 'db/d', { encryption: 'require' }],
  ['postgres://db/d?sslmode=no-verify&uselibpqcompat=true', 'db/d', { encryption: 'require' }],
  ['postgres://db/d?ssl=true', 'db/d', { encryption: 'verify-full' }],
  [
    'postgres://db/d?sslmode=verify-ca&sslrootcert=/etc/ca.pem&sslcert=/a.crt&sslkey=/a.key',
    'db/d',
    { encryption: 'verify-ca', rootCertificate: '/etc/ca.pem', certificate: '/a.crt', key: '/a.key' },
  ],
  [
    'postgres://db/d?sslmode=verify-full&sslrootcert=system',
    'db/d',
    { encryption: 'verify-full', rootCertificate: 'system' },
  ],
  [
    'postgres://db/d?channel_binding=require&connect_timeout=2',
    'db/d',
    { bindsChannel: true, connectTimeoutMs: 2000 },
  ],
  [
    'postgres://db/d?keepalives_idle=30&gssencmode=disable&application_name=mine',
    'db/d',
    { applicationName: 'mine' },
  ],
]

/** Every one holds `sesame`, or pieces of it, where a password may be. */
const refused: readonly (readonly [string, RegExp])[] = [
  ['mysql://ann:sesame@db/d', /^must be postgres:\/\/user:password@host:port\/database$/],
  ['sesame', /^must be/],
  ['postgres:/ann:sesame@db/d', /^must be/],
  ['postgres://ann:ses@me@db/d', /more than one @.*%40/],
  ['postgres://ann:sesame#@db/d', /holds a #.*%23/],
  ['postgres://ann:ses/ame@db/d', /@ behind its first \/ or \?.*%2F/],
  ['postgres://ann:5432/sesame@db/d', /@ behind its first \/ or \?.*%2F/],
  ['postgres://ann:ses?ame@db/d', /@ behind its first \/ or \?.*%3F/],
  ['postgres://ann:ses?ame=x@db/d', /@ behind its first \/ or \?.*%3F/],
  ['postgres://ann:ses@me?sesame', /parameter without a value.*percent-encoded/],
  ['postgres://ann:ses@me?sesame=1', /unknown parameter.*known are host, port/],
  ['postgres://ann:ses%ame@db/d', /% without two hex digits.*%25/],
  ['postgres://ann:sesame%@db/d', /% without two hex digits.*%25/],
  ['postgres://ann:sesame%ff@db/d', /bytes that are not text/],
  ['postgres://ann:sesame%00@db/d', /bytes that are not text/],
  ['postgres://ann:sesame/d', /port that is not a number.*percent-encoded/],
  ['postgres://ann:ses@me:sesame/d', /port that is not a number/],
  ['postgres://ann:x@db:65536/sesame', /port that is not a number/],
  ['postgres://ann:x@d[b]/sesame', /an invalid host/],
  ['postgres://ann:x@db/sesame/me', /more than one \//],
  ['postgres://ann:x@a,b/d?port=1,2,3&password=sesame', /one port for all hosts/],
  ['postgres://ann:sesame@db/d?sslmode=sesame', /an unknown sslmode; known are disable, allow, prefer/],
  ['postgres://ann:sesame@db/d?sslmode=verify-ca', /verify-ca without an authority.*sslrootcert/],
  ['postgres://ann:sesame@db/d?sslmode=require&sslrootcert=system', /sslrootcert=system.*verify-full/],
  ['postgres://ann:sesame@db/d?sslmode=require&sslcert=/x', /sslcert without its sslkey/],
  ['postgres://ann:sesame@db/d?channel_binding=sesame', /an unknown channel_binding; known are/],
  ['postgres://ann:sesame@db/d?connect_timeout=sesame', /connect_timeout that is no whole number/],
  ['postgres://ann:sesame@a,b/d?target_session_attrs=sesame', /not any, read-write or primary/],
  ...['read-only', 'standby', 'prefer-standby'].map(
    (target) =>
      [
        `postgres://ann:sesame@a,b/d?target_session_attrs=${target}`,
        new RegExp(`only reads .target_session_attrs=${target}.*use read-write`),
      ] as const,
  ),
]

/** Hosts on other machines that may see passwords and data in clear. */
const plainHosts: readonly (readonly [string, readonly string[]])[] = [
  ['postgres://ann@db:5433/d', ['db:5433']],
  ['postgres://ann@db/d?sslmode=disable', ['db']],
  ['postgres://ann@db/d?sslmode=prefer', ['db']],
  ['postgres://ann@db/d?sslmode=allow', ['db']],
  ['postgres://ann@h1,h2:5433/d', ['h1', 'h2:5433']],
  ['postgres://ann@[2001:db8::1]/d', ['[2001:db8::1]']],
  ['postgres://ann@db/d?sslmode=require', []],
  ['postgres://ann@db/d?sslmode=verify-full', []],
  ['postgres://ann@db/d?sslnegotiation=direct', []],
  ['postgres://ann@localhost/d', []],
  ['postgres://ann@127.0.0.1:5433/d?sslmode=disable', []],
  ['postgres://ann@[::1]/d', []],
  ['postgres:///d?host=/run/postgresql', []],
]

describe('the URL of a shared database', () => {
  for (const [text, where, more] of forms)
    it(`is read as libpq reads it: ${text}`, () => {
      const url = parsed(text)
      assert.equal(whereOf(url), where)
      for (const [name, value] of Object.entries(more))
        assert.deepEqual(Object.entries(url).find(([known]) => known === name)?.[1], value, name)
    })

  for (const [text, why] of refused)
    it(`is refused in words that hold no piece of it: ${text}`, () => {
      const answer = parseDatabaseUrl(text)
      assert.ok(answer.kind === 'invalid')
      assert.match(answer.message, why)
      for (const piece of ['sesame', 'ses@', 'ses/', 'ses?', 'ses%', '@me', 'ann:'])
        assert.ok(!answer.message.includes(piece), answer.message)
      for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL']) {
        const env = { DATABASE_URL: 'postgres://db/d', MASTER_KEY: '07'.repeat(32), [name]: text }
        assert.throws(
          () => readConfig(env),
          (error) => error instanceof ConfigError && error.message.startsWith(`${name}: ${answer.message}`),
        )
      }
    })

  for (const [text, plain] of plainHosts)
    it(`names the hosts that are reached without TLS: ${text}`, () => {
      assert.deepEqual(openServers(text, 'DATABASE_URL').plain, plain)
    })

  it('needs to be there for the one that leads past a pooler', () => {
    assert.throws(
      () => readConfig({ DATABASE_DIRECT_URL: 'postgres://ann:sesame@db/d' }),
      /^ConfigError: DATABASE_DIRECT_URL: goes with DATABASE_URL, which is not set$/,
    )
  })
})
