import { parseDatabaseUrl, urlForm } from '#storage/database-url.ts'
import { type Environment, secretOf } from './environment.ts'
import { ConfigError } from './settings.ts'

/** The URL of the shared database; undefined for the embedded one. */
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

/** The target of a move: `--to`, or else the URL that the instances will be started with. */
export function targetOf(
  env: Environment,
  to: string | undefined,
): { readonly url: string; readonly directUrl?: string } {
  if (to !== undefined) return { url: checked('--to', to) }
  const url = databaseUrlOf(env)
  if (url === undefined) throw new ConfigError('DATABASE_URL', `or --to must name the target: ${urlForm}`)
  const directUrl = directUrlOf(env)
  return { url, ...(directUrl !== undefined && { directUrl }) }
}

function checked(name: string, url: string, more = ''): string {
  const parsed = parseDatabaseUrl(url)
  if (parsed.kind === 'read') return url
  // The reason holds no part of the URL, which has a password.
  throw new ConfigError(name, `${parsed.message}${parsed.message.startsWith('must be') ? more : ''}`)
}
