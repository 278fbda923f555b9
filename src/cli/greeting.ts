import { upstreamVariables } from '#config/read.ts'
import type { Config } from '#config/settings.ts'
import { withoutSecrets } from '#config/without-secrets.ts'
import type { Server } from '#server.ts'
import { hostsOf, parseDatabaseUrl } from '#storage/database-url.ts'
import type { DemoUser } from './demo.ts'

/** What a start prints: the addresses, the admin key where one was made, and commands to copy. */
export function greeting(about: {
  readonly server: Pick<Server, 'url' | 'adminUrl' | 'madeAdminKey'>
  readonly config: Pick<Config, 'upstreams' | 'adminKey' | 'dataDir' | 'databaseUrl' | 'masterKey'>
  readonly isDemo: boolean
  readonly users: readonly DemoUser[] | undefined
}): string {
  const { server, config } = about
  const lines = [
    '',
    `  Tollgate is listening on ${server.url}`,
    `  Console:                  ${server.adminUrl}/console`,
    `  Admin API and its pages:  ${server.adminUrl}/docs`,
    ...databaseLines(config),
    '',
    ...adminKeyLines(about),
    ...upstreamLines(config),
    ...userLines(about.users),
    ...commandLines(about),
    '',
  ]
  return lines.join('\n')
}

function adminKeyLines({ server, config, isDemo }: Parameters<typeof greeting>[0]): string[] {
  if (isDemo)
    return [
      `  Demo: the upstream is simulated, the admin key is ${config.adminKey}, the data is deleted at the end.`,
      '',
    ]
  if (config.adminKey !== undefined) return []
  if (server.madeAdminKey === undefined)
    return [
      '  The admin key was made at an earlier start. If it is lost, stop the server and make another:',
      '  npm start -- keys create NAME',
      '',
    ]
  return [
    `  Admin key: ${server.madeAdminKey}`,
    '  It was made just now and is not shown again. Keep it, and keep',
    ...(config.masterKey === undefined
      ? [`  a copy of ${config.dataDir}/master.key: without that file the database cannot be read.`]
      : ['  MASTER_KEY: without it the database cannot be read.']),
    '',
  ]
}

function databaseLines({ databaseUrl }: Pick<Config, 'databaseUrl'>): string[] {
  if (databaseUrl === undefined) return []
  const parsed = parseDatabaseUrl(databaseUrl)
  if (parsed.kind === 'invalid') return []
  const { hosts, database, user } = parsed.value
  return [`  Database:                 ${database ?? user ?? ''} at ${hostsOf(hosts)}`]
}

function upstreamLines({ upstreams }: Pick<Config, 'upstreams'>): string[] {
  if (upstreams.length > 0)
    return [
      `  Upstreams: ${upstreams.map(({ name, baseUrl }) => `${name} (${withoutSecrets(baseUrl)})`).join(', ')}`,
      '',
    ]
  return [
    '  No upstream is configured yet, so no model is served: each request for one is answered with 404.',
    `  Add one: set ${upstreamVariables()}, or list it under upstreams in tollgate.yaml.`,
    '',
  ]
}

function userLines(users: readonly DemoUser[] | undefined): string[] {
  if (!users) return []
  return [
    '  Sample users:',
    ...users.map(({ name, accessToken, about }) => `    ${name.padEnd(8)}${accessToken.padEnd(12)}${about}`),
    '',
  ]
}

function commandLines({ server, config, isDemo, users }: Parameters<typeof greeting>[0]): string[] {
  const adminKey = isDemo ? config.adminKey : (server.madeAdminKey ?? '$TOLLGATE_ADMIN_KEY')
  const accessToken = users?.[0]?.accessToken ?? '$ACCESS_TOKEN'
  return [
    '  Create a user, use the access token of the answer, see what was used:',
    '',
    `    curl -X POST ${server.adminUrl}/admin/users -H ${quoted(`Authorization: Bearer ${adminKey}`)}`,
    '',
    `    curl ${server.url}/v1/chat/completions -H ${quoted(`Authorization: Bearer ${accessToken}`)} \\`,
    `      -H 'Content-Type: application/json' \\`,
    `      -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'`,
    '',
    `    curl ${server.url}/v1/usage -H ${quoted(`Authorization: Bearer ${accessToken}`)}`,
    '',
  ]
}

/** Quotes for a shell: a text with a variable must be expanded, every other text must not. */
function quoted(text: string): string {
  return text.includes('$') ? `"${text}"` : `'${text}'`
}
