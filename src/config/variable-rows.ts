import { providers } from '#providers/all.ts'
import type { Preset } from '#providers/preset.ts'
import type { Provider } from '#providers/provider.ts'
import type { Config } from './settings.ts'
import { withoutSecrets } from './without-secrets.ts'

/**
 * The variables of the environment in words, for the documents and for `GET /admin/settings`. `what` may hold links of
 * Markdown, relative to `docs/reference`.
 */
export interface VariableRow {
  /** The value in force, in the variable's own unit. `secret`: it is only said whether it is set. */
  readonly value: 'secret' | ((config: Config) => unknown)
  readonly byDefault: (config: Config) => string
  readonly what: string
}

const says = (text: string) => () => text

/** The key and the address of a protocol's own service. */
function rowsOfProvider({ name, publicBaseUrl }: Provider): readonly (readonly [string, VariableRow])[] {
  const [key = '', address = ''] = variablesOf({ variable: name.toUpperCase() })
  const hasPath = new URL(publicBaseUrl).pathname !== '/'
  return [
    [
      key,
      {
        value: 'secret',
        byDefault: says('-'),
        what: `Adds an upstream named \`${name}\` for every model on the routes of that protocol.`,
      },
    ],
    [
      address,
      {
        value: addressOf(name),
        byDefault: says(`\`${publicBaseUrl}\``),
        what: `Its address, ${hasPath ? 'with' : 'without'} \`/v1\`. Set alone it adds an upstream without a credential.`,
      },
    ],
  ]
}

/** In the order of the documents. */
export const variableRows: Readonly<Record<string, VariableRow>> = {
  HOST: {
    value: (config) => config.host,
    byDefault: (config) => config.host,
    what: 'Address to listen on. `0.0.0.0` or `::` opens it to others: put TLS in front.',
  },
  PORT: {
    value: (config) => config.port,
    byDefault: (config) => String(config.port),
    what: 'Port to listen on; 0 takes a free one.',
  },
  ADMIN_PORT: {
    value: (config) => config.adminPort,
    byDefault: says('the same listener'),
    what: 'A listener of its own, on `HOST`, for the admin API and its pages; they are then 404 on `PORT`.',
  },
  PUBLIC_URL: {
    value: (config) => config.publicUrl,
    byDefault: says('the host of the request'),
    what: 'The address under which holders of access tokens reach this server, such as `https://llm.example.org`, for [links](../guides/users.md#hand-the-access-token-out) that show an access token. Needed with `ADMIN_PORT`.',
  },
  DATA_DIR: {
    value: (config) => config.dataDir,
    byDefault: (config) => config.dataDir,
    what: 'Folder of the database and the master key; made with mode 0700.',
  },
  DATABASE_URL: {
    value: 'secret',
    byDefault: says('SQLite in `DATA_DIR`'),
    what: '`postgres://user:password@host:port/database` for many instances on one PostgreSQL (14 or later), with the parameters of libpq such as `?sslmode=verify-full`, and several hosts of which one is written to ([forms](#the-databases-url)). Needs `MASTER_KEY`.',
  },
  DATABASE_DIRECT_URL: {
    value: 'secret',
    byDefault: says('`DATABASE_URL`'),
    what: 'The same database past a pooler, for uses that need a connection of their own: notifications of other instances, migrations, locks. [Poolers](../operations/scale.md#poolers) says which need it.',
  },
  ADMIN_KEY: {
    value: 'secret',
    byDefault: says('made on the first start'),
    what: 'An admin key of 16 to 512 characters without spaces; `openssl rand -hex 32` makes one. One of 32 or more is accepted even from an address that is [throttled](../operations/security.md#guessing). It is not stored; a start with another value ends the old one. Keys in the database keep working beside it.',
  },
  MASTER_KEY: {
    value: 'secret',
    byDefault: says('made on the first start, in `DATA_DIR/master.key`'),
    what: '32 bytes as 64 hex digits or in base64. A database belongs to the master key it was made with, until it is [replaced](../operations/security.md#replacing-the-master-key).',
  },
  MASTER_KEY_PREVIOUS: {
    value: 'secret',
    byDefault: says('none'),
    what: 'The master key before, while it is being [replaced](../operations/security.md#replacing-the-master-key).',
  },
  ...Object.fromEntries(providers.toReversed().flatMap(rowsOfProvider)),
  HTTPS_PROXY: {
    value: 'secret',
    byDefault: says('none'),
    what: 'The proxy for upstreams at `https` addresses; `https_proxy` overrides it. Addresses of this machine are reached without a proxy.',
  },
  HTTP_PROXY: {
    value: 'secret',
    byDefault: says('none'),
    what: 'The same for `http` addresses; `http_proxy` overrides it.',
  },
  NO_PROXY: {
    value: (config) => config.noProxy,
    byDefault: says('none'),
    what: 'Hosts, separated by commas, that are reached without a proxy: `example.com` with all its subdomains, `*.example.com`, `host:port`, `*`; `no_proxy` overrides it.',
  },
  TRUSTED_PROXIES: {
    value: (config) => config.trustedProxies,
    byDefault: says('none'),
    what: 'Addresses or networks (`10.0.0.0/8`), separated by commas or spaces, whose `X-Forwarded-For` is trusted.',
  },
  DEMO_HOSTS: {
    value: (config) => config.demoHosts,
    byDefault: says('none'),
    what: 'Host names, separated by commas or spaces, that `--demo` answers to besides the [loopback names](../operations/security.md#the-demo); `*` for all.',
  },
  LOG_LEVEL: {
    value: (config) => config.logLevel,
    byDefault: (config) => config.logLevel,
    what: '`debug`, `info`, `warn`, `error` or `silent`. At `debug` a failed start prints its stack.',
  },
  BULK_USERS_MAX: {
    value: (config) => config.bulkUsersMax,
    byDefault: (config) => String(config.bulkUsersMax),
    what: 'Most users in one bulk call, 1 to 1,000,000.',
  },
  BODY_BYTES_MAX: {
    value: (config) => config.bodyBytesMax,
    byDefault: (config) => `${config.bodyBytesMax / 1024 ** 2} MiB`,
    what: 'Largest body that is read, on both planes: bytes, or a number with `KiB`, `MiB` or `GiB`; at most 1 GiB.',
  },
  STOP_GRACE_SECONDS: {
    value: (config) => config.stopGraceMs / 1000,
    byDefault: (config) => String(config.stopGraceMs / 1000),
    what: 'How long running requests may go on after SIGTERM, 0 to 3600.',
  },
  SESSION_IDLE_MINUTES: {
    value: ({ sessionTimes }) => sessionTimes.idleMs / 60_000,
    byDefault: ({ sessionTimes }) => String(sessionTimes.idleMs / 60_000),
    what: 'The longest pause within a [session](../operations/security.md#sessions) of a browser, 2 to 1440. It applies to requests from now on.',
  },
  SESSION_HOURS: {
    value: ({ sessionTimes }) => sessionTimes.longestMs / 3_600_000,
    byDefault: ({ sessionTimes }) => String(sessionTimes.longestMs / 3_600_000),
    what: 'The longest session of a browser, 1 to 720. It applies to logins from now on.',
  },
  SIGN_ON_ISSUER: {
    value: ({ signOn }) => signOn?.issuer,
    byDefault: says('none'),
    what: 'The issuer of a provider of OpenID Connect, at which administrators [sign on](../guides/sign-on.md); `https`, or `http` on this machine.',
  },
  SIGN_ON_CLIENT_ID: {
    value: ({ signOn }) => signOn?.clientId,
    byDefault: says('-'),
    what: 'The name of this application at the provider.',
  },
  SIGN_ON_CLIENT_SECRET: {
    value: 'secret',
    byDefault: says('none: a public client'),
    what: 'Its secret there.',
  },
  SIGN_ON_PUBLIC_URL: {
    value: ({ signOn }) => signOn?.publicUrl,
    byDefault: says('-'),
    what: 'Where browsers reach the admin API, such as `https://tollgate.example.org`. The redirect address is this with `/admin/sessions/sign-on/callback`.',
  },
  SIGN_ON_GROUPS: {
    value: ({ signOn }) => signOn?.groups,
    byDefault: says('-'),
    what: 'Groups and their scopes, such as `admins=admin, helpdesk=users:read+usage:read`. A name with a comma goes into the file.',
  },
  SIGN_ON_GROUPS_CLAIM: {
    value: ({ signOn }) => signOn?.groupsClaim,
    byDefault: says('`groups`'),
    what: 'The claim that holds the groups, a text or a list; `realm_access.roles` is a claim within another. `email` counts where it is verified.',
  },
  SIGN_ON_EMAIL_DOMAINS: {
    value: ({ signOn }) => signOn?.emailDomains,
    byDefault: says('any'),
    what: 'Domains, separated by commas or spaces, of which a verified e-mail address must be.',
  },
  SIGN_ON_SCOPE: {
    value: ({ signOn }) => signOn?.scope,
    byDefault: says('`openid profile email`'),
    what: 'What is asked of the provider.',
  },
  LEDGER_RETENTION_DAYS: {
    value: (config) => config.ledgerRetentionDays,
    byDefault: (config) => String(config.ledgerRetentionDays),
    what: 'Days that the entry of each single request is kept, 1 to 36500; 0 keeps them for ever. Totals stay.',
  },
  AUDIT_RETENTION_DAYS: {
    value: (config) => config.auditRetentionDays,
    byDefault: (config) => String(config.auditRetentionDays),
    what: 'Days that changes are kept in the audit trail, 1 to 36500; 0 keeps them for ever.',
  },
  CONFIG: {
    value: (config) => config.file,
    byDefault: says('`tollgate.yaml` in the working folder, where there is one'),
    what: 'Path of the configuration file. A file named here must exist.',
  },
}

/** The address of the upstream of that name, which a variable adds; undefined where the variable adds no upstream. */
function addressOf(name: string): (config: Config) => string | undefined {
  return ({ upstreams }) => {
    const found = upstreams.find((one) => one.name === name)
    return found && withoutSecrets(found.baseUrl)
  }
}

/** The variables of a service's preset. */
export function variablesOf({ variable }: Pick<Preset, 'variable'>): readonly string[] {
  return [`${variable}_API_KEY`, `${variable}_BASE_URL`]
}
