import type { PolicySettings } from '#core/policy-settings.ts'
import type { SessionTimes } from '#core/session.ts'
import type { SettingOrigin } from '#core/shown-setting.ts'
import type { SignOnSettings } from '#core/sign-on.ts'
import type { PassedRoute } from '#providers/passed-route.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'

/** Everything that can be configured, checked and frozen; how to read it is in `read.ts`. */
export interface Config {
  readonly host: string
  readonly port: number
  /** A listener of its own for the control plane; undefined: the same one. */
  readonly adminPort: number | undefined
  /** The address under which holders of access tokens reach this server, without a final slash; undefined: not told. */
  readonly publicUrl: string | undefined
  readonly dataDir: string
  /** `postgres://…`; undefined: SQLite in the data folder. */
  readonly databaseUrl: string | undefined
  /** The same database past a pooler. */
  readonly databaseDirectUrl: string | undefined
  /** Undefined: made on first start. */
  readonly adminKey: string | undefined
  readonly masterKey: Uint8Array | undefined
  /** The other key while a master key is being replaced: the one before, or the one to come. */
  readonly masterKeyPrevious: Uint8Array | undefined
  /** The file that the master key was read from, where the environment names one. */
  readonly masterKeyFile: string | undefined
  readonly trustedProxies: readonly string[]
  /** Hosts that the demo serves besides the loopback names; `*`: all of them. */
  readonly demoHosts: readonly string[]
  /** Hosts that are served besides the loopback names; undefined: all of them. */
  readonly servedHosts: readonly string[] | undefined
  readonly logLevel: LogLevel
  readonly bulkUsersMax: number
  readonly bodyBytesMax: number
  /** How long running relays may go on after SIGTERM. */
  readonly stopGraceMs: number
  readonly sessionTimes: SessionTimes
  /** Undefined: administrators log in with admin keys only. */
  readonly signOn: SignOnSettings | undefined
  /** Days that closed entries are kept; 0: for ever. */
  readonly ledgerRetentionDays: number
  /** Days that changes are kept in the audit trail; 0: for ever. */
  readonly auditRetentionDays: number
  /** Days after its expiry that a temporary user is removed; -1: never. */
  readonly purgeAfterDays: number
  readonly policy: PolicySettings
  readonly upstreams: readonly UpstreamConfig[]
  /** What is set and has no effect, in sentences for the operator. */
  readonly notes: readonly string[]
  readonly onDisconnect: 'abort' | 'drain'
  readonly inputEstimate: 'usual' | 'bound'
  /** Origins of web pages that may call the gateway. */
  readonly corsOrigins: readonly string[]
  /** A stream that is silent for so long gets a comment; 0: never. */
  readonly keepAliveMs: number
  /** The model of a request that names a stored prompt and no model. */
  readonly promptModel: string | undefined
  readonly passThrough: readonly PassedRoute[]
  /** The configuration file that was read; undefined where no file was read. */
  readonly file: string | undefined
  /** Hosts that are reached without a proxy, for upstreams without a proxy of their own. */
  readonly noProxy: string | undefined
  /** Where each setting that was given came from, by its name; what is absent has its default. */
  readonly given: ReadonlyMap<string, SettingOrigin>
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

/** One line for the operator: which key is wrong, and what is allowed. */
export class ConfigError extends Error {
  constructor(key: string, message: string) {
    super(`${key}: ${message}`)
    this.name = 'ConfigError'
  }
}
