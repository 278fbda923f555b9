import { parseDatabaseUrl, urlForm } from '#storage/database-url.ts'
import { type Environment, secretOf } from './environment.ts'
import { ConfigError } from './settings.ts'

/** Where the shared database is; undefined where the embedded one is meant. */
export function databaseUrlOf(env: Environment): string | undefined {
  const url = secretOf(env, 'DATABASE_URL')
  return url === undefined
    ? undefined
    : checked('DATABASE_URL', url, '; leave it out for the embedded database')
}

/** The same database past a pooler, for what a pooler cannot do. */
export function directUrlOf(env: Environment): string | undefined {
  const url = secretOf(env, 'DATABASE_DIRECT_URL')
  if (url === undefined) return undefined
  if (secretOf(env, 'DATABASE_URL') === undefined)
    throw new ConfigError('DATABASE_DIRECT_URL', 'goes with DATABASE_URL, which is not set')
  return checked('DATABASE_DIRECT_URL', url)
}

/** Where to move to: `--to`, or where that is not said what the instances will be started with. */
export function targetOf(
  env: Environment,
  to: string | undefined,
): { readonly url: string; readonly directUrl?: string } {
  if (to !== undefined) return { url: checked('--to', to) }
  const url = databaseUrlOf(env)
  if (url === undefined) throw new ConfigError('DATABASE_URL', `or --to says where to move to: ${urlForm}`)
  const directUrl = directUrlOf(env)
  return { url, ...(directUrl !== undefined && { directUrl }) }
}

function checked(name: string, url: string, more = ''): string {
  const parsed = parseDatabaseUrl(url)
  if (parsed.kind === 'parsed') return url
  // The reason holds no piece of the URL: it has a password.
  throw new ConfigError(name, `${parsed.reason}${parsed.reason.startsWith('must be') ? more : ''}`)
}
