import { existsSync } from 'node:fs'
import { builtInFamilies, familyNames } from '#core/family.ts'
import { isNetwork } from '#core/network.ts'
import { outputPolicyDefault } from '#core/output-need.ts'
import type { PolicySettings } from '#core/policy-settings.ts'
import type { WeightSettings } from '#core/weights.ts'
import { providers } from '#providers/all.ts'
import { databaseUrlOf, directUrlOf } from './database-url.ts'
import {
  bytesOf,
  dataDirOf,
  type Environment,
  listOf,
  oneOf,
  secretOf,
  textOf,
  wholeNumberOf,
} from './environment.ts'
import { type ConfigFile, readConfigFile } from './file.ts'
import { givenSettings } from './given.ts'
import { configuredMasterKey } from './master-key.ts'
import { passThroughOf } from './pass-through.ts'
import { noProxyOf } from './proxies.ts'
import { type Config, ConfigError, logLevels } from './settings.ts'
import { signOnOf } from './sign-on.ts'
import { allUpstreams, unusedVariables } from './upstreams.ts'

/**
 * Environment and file to one frozen Config. The only reader of the environment; throws `ConfigError` for the first
 * setting that is wrong, so that a server never starts with only a part of its settings.
 */
export function readConfig(env: Environment): Config {
  const asked = textOf(env, 'CONFIG')
  const path = asked ?? 'tollgate.yaml'
  const file = readConfigFile(path, asked !== undefined)
  const databaseUrl = databaseUrlOf(env)
  const masterKey = configuredMasterKey(env)
  if (databaseUrl !== undefined && masterKey === undefined) {
    throw new ConfigError(
      'MASTER_KEY',
      'is needed with DATABASE_URL, the same one for every instance; `openssl rand -hex 32` makes one',
    )
  }
  const port = wholeNumberOf(env, 'PORT', [0, 65_535], 8080)
  const adminPort =
    textOf(env, 'ADMIN_PORT') === undefined ? undefined : wholeNumberOf(env, 'ADMIN_PORT', [0, 65_535], 0)
  if (adminPort !== undefined && adminPort === port && port !== 0) {
    throw new ConfigError('ADMIN_PORT', 'is the same as PORT; leave it out to serve both from one listener')
  }
  const policy = policyOf(file)
  const upstreams = allUpstreams(file, env)
  return Object.freeze({
    host: textOf(env, 'HOST') ?? '127.0.0.1',
    port,
    adminPort,
    publicUrl: publicUrlOf(env),
    dataDir: dataDirOf(env),
    adminKey: adminKeyOf(env),
    databaseUrl,
    databaseDirectUrl: directUrlOf(env),
    masterKey,
    masterKeyPrevious: configuredMasterKey(env, 'MASTER_KEY_PREVIOUS'),
    masterKeyFile: textOf(env, 'MASTER_KEY_FILE'),
    trustedProxies: trustedProxiesOf(env),
    demoHosts: demoHostsOf(env),
    servedHosts: undefined,
    logLevel: oneOf(env, 'LOG_LEVEL', logLevels, 'info'),
    bulkUsersMax: wholeNumberOf(env, 'BULK_USERS_MAX', [1, 1_000_000], 10_000),
    bodyBytesMax: bytesOf(env, 'BODY_BYTES_MAX', 1024 ** 3, 32 * 1024 ** 2),
    stopGraceMs: wholeNumberOf(env, 'STOP_GRACE_SECONDS', [0, 3600], 30) * 1000,
    sessionTimes: {
      idleMs: wholeNumberOf(env, 'SESSION_IDLE_MINUTES', [2, 1440], 30) * 60_000,
      longestMs: wholeNumberOf(env, 'SESSION_HOURS', [1, 720], 12) * 3_600_000,
    },
    signOn: signOnOf(file, env),
    ledgerRetentionDays: wholeNumberOf(env, 'LEDGER_RETENTION_DAYS', [0, 36_500], 90),
    auditRetentionDays: wholeNumberOf(env, 'AUDIT_RETENTION_DAYS', [0, 36_500], 365),
    purgeAfterDays: file.purgeAfterDays ?? 30,
    policy,
    upstreams,
    notes: unusedVariables(file, env),
    onDisconnect: file.onDisconnect ?? 'abort',
    inputEstimate: file.inputEstimate ?? 'usual',
    corsOrigins: file.corsOrigins ?? [],
    keepAliveMs: file.keepAliveMs ?? 0,
    promptModel: file.promptModel,
    passThrough: passThroughOf(file, upstreams, policy.families),
    file: existsSync(path) ? path : undefined,
    noProxy: noProxyOf(env),
    given: givenSettings(env, file),
  })
}

const adminKeyLengthMin = 16

function adminKeyOf(env: Environment): string | undefined {
  const key = secretOf(env, 'ADMIN_KEY')
  if (key === undefined) return undefined
  if (key.length < adminKeyLengthMin || key.length > 512 || /\s/.test(key)) {
    throw new ConfigError('ADMIN_KEY', `must be ${adminKeyLengthMin} to 512 characters without spaces`)
  }
  return key
}

function publicUrlOf(env: Environment): string | undefined {
  const text = textOf(env, 'PUBLIC_URL')
  if (text === undefined) return undefined
  const url = URL.parse(text)
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url && isPlain && /^https?:$/.test(url.protocol)) return (url.origin + url.pathname).replace(/\/+$/, '')
  throw new ConfigError(
    'PUBLIC_URL',
    'must be the address that holders of access tokens reach, such as https://llm.example.org, without user, ? and #',
  )
}

function trustedProxiesOf(env: Environment): readonly string[] {
  const networks = listOf(env, 'TRUSTED_PROXIES')
  const wrong = networks.find((network) => !isNetwork(network))
  if (wrong === undefined) return networks
  throw new ConfigError(
    'TRUSTED_PROXIES',
    `${JSON.stringify(wrong)} must be a network such as 10.0.0.0/8 or 127.0.0.1`,
  )
}

function demoHostsOf(env: Environment): readonly string[] {
  const hosts = listOf(env, 'DEMO_HOSTS')
  const wrong = hosts.find((host) => host !== '*' && !/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/i.test(host))
  if (wrong === undefined) return hosts
  throw new ConfigError(
    'DEMO_HOSTS',
    `${JSON.stringify(wrong)} must be a host name such as demo.example.org, without scheme and port, or *`,
  )
}

function policyOf(file: ConfigFile): PolicySettings {
  const families = file.families ?? builtInFamilies
  const twice = families.find(
    (family, index) => families.findIndex(({ name }) => name === family.name) < index,
  )
  if (twice) throw new ConfigError('families', `${twice.name} is defined twice`)
  const { limits = {}, outputFloor, outputShare, outputUnits, outputLeast, ...defaults } = file.defaults ?? {}
  const known = familyNames(families)
  const unknown = Object.keys(limits).find((family) => !known.includes(family))
  if (unknown !== undefined) {
    throw new ConfigError(
      `defaults.limits.${unknown}`,
      `is not a family; the families are ${known.join(', ')}`,
    )
  }
  const weights = weightsOf(file, known)
  return {
    families,
    limits,
    ...(weights && { weights }),
    defaults: definedOnly(defaults),
    output: {
      floor: outputFloor ?? outputPolicyDefault.floor,
      share: outputShare ?? outputPolicyDefault.share,
      unstated: outputUnits ?? outputPolicyDefault.unstated,
      least: outputLeast ?? outputPolicyDefault.least,
    },
    timeZone: file.timeZone ?? 'UTC',
  }
}

function weightsOf({ weights }: ConfigFile, known: readonly string[]): WeightSettings | undefined {
  if (!weights) return undefined
  const { families = {}, ...all } = weights
  const unknown = Object.keys(families).find((family) => !known.includes(family))
  if (unknown !== undefined)
    throw new ConfigError(
      `weights.families.${unknown}`,
      `is not a family; the families are ${known.join(', ')}`,
    )
  const named = Object.entries(families).map(([family, own]) => [family, definedOnly(own)] as const)
  return { all: definedOnly(all), families: Object.fromEntries(named) }
}

function definedOnly<Values extends object>(
  values: { readonly [Name in keyof Values]?: Values[Name] | undefined },
): Partial<Values> {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as Partial<Values>
}

/** Names the variables that add an upstream, for messages that say that an upstream is missing. */
export function upstreamVariables(): string {
  const keys = providers.map(({ name }) => `${name.toUpperCase()}_API_KEY`)
  return `${keys.join(', ')} or that of another service (\`tollgate help\` names them)`
}
