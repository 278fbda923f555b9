import { type Environment, secretOf } from './environment.ts'
import { ConfigError } from './settings.ts'

/** Where the shared database is; undefined where the embedded one is meant. */
export function databaseUrlOf(env: Environment): string | undefined {
  const url = secretOf(env, 'DATABASE_URL')
  if (url === undefined || isDatabaseUrl(url)) return url
  // Not the URL itself: it holds a password.
  throw new ConfigError('DATABASE_URL', `${mustBe}; leave it out for the embedded database`)
}

/** Where to move to: `--to`, or where that is not said what the instances will be started with. */
export function targetUrlOf(env: Environment, to: string | undefined): string {
  if (to !== undefined && !isDatabaseUrl(to)) throw new ConfigError('--to', mustBe)
  const url = to ?? databaseUrlOf(env)
  if (url !== undefined) return url
  throw new ConfigError(
    'DATABASE_URL',
    'or --to says where to move to: postgres://user:password@host:port/database',
  )
}

const mustBe = 'must be postgres://user:password@host:port/database'

function isDatabaseUrl(url: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)
}
