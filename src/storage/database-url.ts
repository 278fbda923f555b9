import { read, type TextReading, unreadable } from '#lib/reading.ts'

/**
 * A database's URL as libpq reads it: several hosts, socket folders, parameters. WHATWG's `URL` supports neither
 * several hosts nor socket folders, and misreads a `#` or `/` in a password. No message of this file quotes the URL:
 * any piece of it may belong to a password.
 *
 * Source of each rule: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export interface DatabaseUrl {
  /** In the order in which they are tried; never empty. */
  readonly hosts: readonly DatabaseHost[]
  readonly user?: string
  readonly password?: string
  readonly database?: string
  readonly encryption?: Encryption
  /** Paths of PEM files; `system` as `rootCertificate` means the certificates that the program trusts by default. */
  readonly rootCertificate?: string
  readonly certificate?: string
  readonly key?: string
  readonly isTlsAtOnce: boolean
  readonly bindsChannel: boolean
  /** The startup options of a connection, as given. */
  readonly options?: string
  /** The settings from `options` and from the parameters of the same names. */
  readonly settings: ReadonlyMap<string, string>
  readonly applicationName?: string
  /** For each host. */
  readonly connectTimeoutMs?: number
  readonly isShuffled: boolean
}

export interface DatabaseHost {
  /** A name, an address, or the folder of a socket; undefined means the machine's default. */
  readonly host?: string
  readonly port?: number
}

type Encryption = (typeof encryptions)[number]

const encryptions = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

export const urlForm = 'postgres://user:password@host:port/database'

/** What is wrong is a sentence for the operator, without its subject. */
export function parseDatabaseUrl(text: string): TextReading<DatabaseUrl> {
  try {
    return read(parse(text))
  } catch (error) {
    if (error instanceof Refusal) return unreadable(error.message)
    throw error
  }
}

/** Hosts and database, without user and password. */
export function whereOf({ hosts, database, user }: DatabaseUrl): string {
  return `${hostsOf(hosts)}/${database ?? user ?? ''}`
}

export function hostsOf(hosts: readonly DatabaseHost[]): string {
  return hosts.map(hostName).join(',')
}

export function hostName({ host = 'localhost', port }: DatabaseHost): string {
  const shown = host.includes(':') ? `[${host}]` : host
  return port === undefined ? shown : `${shown}:${port}`
}

class Refusal extends Error {}

const encode =
  'where a user or password holds one of @ : / ? # %, write it percent-encoded: %40 %3A %2F %3F %23 %25'

function parse(text: string): DatabaseUrl {
  const [, rest] = /^postgres(?:ql)?:\/\/(.*)$/s.exec(text) ?? []
  if (rest === undefined) throw new Refusal(`must be ${urlForm}`)
  if (rest.includes('#')) throw new Refusal(`holds a #, which has no meaning there; ${encode}`)
  if (/%(?![0-9a-f]{2})/i.test(rest))
    throw new Refusal(`holds a % without two hex digits behind it; ${encode}`)
  const [, authority = '', path, query] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? []
  // The hosts stand after the last @; an @ behind them must be percent-encoded.
  if (path?.includes('@') || query?.includes('@'))
    throw new Refusal(`has an @ behind its first / or ?; ${encode}`)
  const [credentials, hosts, more] = authority.includes('@')
    ? authority.split('@')
    : [undefined, authority, undefined]
  if (more !== undefined) throw new Refusal(`has more than one @; ${encode}`)
  const parameters = parametersOf(query ?? '')
  return toUrl({ ...credentialsOf(credentials), path: path ?? '', hosts: hosts ?? '', parameters })
}

function credentialsOf(credentials = ''): { readonly user: string; readonly password: string } {
  const colon = credentials.indexOf(':')
  return colon < 0
    ? { user: decode(credentials), password: '' }
    : { user: decode(credentials.slice(0, colon)), password: decode(credentials.slice(colon + 1)) }
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text)
    if (!decoded.includes('\0')) return decoded
  } catch {
    // The bytes are not UTF-8.
  }
  throw new Refusal('holds percent-encoded bytes that are not text')
}

/** Settings that can be given as a parameter of the same name, as the driver allows. */
const settingNames = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const
/** Parameters that libpq knows and that need nothing from this program. */
const idleNames = [
  ...[
    'fallback_application_name',
    'keepalives',
    'keepalives_idle',
    'keepalives_interval',
    'keepalives_count',
  ],
  ...['tcp_user_timeout', 'gssencmode', 'sslcompression', 'sslsni', 'uselibpqcompat', 'client_encoding'],
]
const knownNames = [
  ...['host', 'port', 'dbname', 'user', 'password', 'target_session_attrs', 'load_balance_hosts'],
  ...['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'ssl', 'channel_binding'],
  ...['options', 'application_name', 'connect_timeout', ...settingNames],
]

type Parameters = ReadonlyMap<string, string>

function parametersOf(query: string): Parameters {
  const found = new Map<string, string>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const [name = '', value, more] = part.split('=')
    if (value === undefined) throw new Refusal(`has a parameter without a value behind its ?; ${encode}`)
    // `options=-c search_path=mine` is often written unencoded.
    if (more !== undefined && name !== 'options')
      throw new Refusal(`has a parameter with more than one =; write it %3D within a value`)
    if (!knownNames.includes(name) && !idleNames.includes(name))
      throw new Refusal(`has an unknown parameter behind its ?; known are ${knownNames.join(', ')}`)
    const whole = part.slice(name.length + 1)
    found.set(name, decode(name === 'options' ? whole.replaceAll('+', ' ') : whole))
  }
  return found
}

interface Pieces {
  readonly user: string
  readonly password: string
  readonly hosts: string
  readonly path: string
  readonly parameters: Parameters
}

function toUrl({ parameters, ...pieces }: Pieces): DatabaseUrl {
  checkTarget(parameters.get('target_session_attrs'))
  const given = (name: string, otherwise = '') => parameters.get(name) || otherwise
  const user = given('user', pieces.user)
  const password = given('password', pieces.password)
  const database = given('dbname', decode(pieces.path))
  if (database.includes('/')) throw new Refusal(`has more than one / behind its hosts; ${encode}`)
  const options = given('options')
  const applicationName = given('application_name')
  const timeout = wholeNumberOf(parameters, 'connect_timeout')
  return {
    hosts: hostsIn(pieces.hosts, parameters),
    ...(user !== '' && { user }),
    ...(password !== '' && { password }),
    ...(database !== '' && { database }),
    ...encryptionOf(parameters),
    isTlsAtOnce: oneOf(parameters, 'sslnegotiation', ['postgres', 'direct']) === 'direct',
    bindsChannel: oneOf(parameters, 'channel_binding', ['disable', 'prefer', 'require']) === 'require',
    ...(options !== '' && { options }),
    settings: settingsOf(options, parameters),
    ...(applicationName !== '' && { applicationName }),
    // In libpq 0 waits for ever; here the default timeout applies.
    ...(timeout !== undefined && timeout > 0 && { connectTimeoutMs: timeout * 1000 }),
    isShuffled: oneOf(parameters, 'load_balance_hosts', ['disable', 'random']) === 'random',
  }
}

/**
 * A store writes, so only targets that accept writes are allowed. The server itself tells which of the hosts that is.
 */
function checkTarget(target: string | undefined): void {
  if (target === undefined || ['any', 'read-write', 'primary'].includes(target)) return
  if (['read-only', 'standby', 'prefer-standby'].includes(target))
    throw new Refusal(
      `asks for a server that only reads (target_session_attrs=${target}); every request is written: use read-write`,
    )
  throw new Refusal('has a target_session_attrs that is not any, read-write or primary')
}

function wholeNumberOf(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name)
  if (value === undefined || value === '') return undefined
  if (/^\d{1,7}$/.test(value)) return Number(value)
  throw new Refusal(`has a ${name} that is no whole number`)
}

function oneOf<T extends string>(parameters: Parameters, name: string, allowed: readonly T[]): T | undefined {
  const value = parameters.get(name)
  if (value === undefined || value === '') return undefined
  const found = allowed.find((one) => one === value)
  if (found === undefined) throw new Refusal(`has an unknown ${name}; known are ${allowed.join(', ')}`)
  return found
}

function hostsIn(authority: string, parameters: Parameters): readonly DatabaseHost[] {
  const pairs = authority.split(',').map(hostAndPort)
  const hosts = parameters.get('host')?.split(',') ?? pairs.map(({ host }) => host)
  const ports = parameters.get('port')?.split(',') ?? pairs.map(({ port }) => port)
  if (ports.length !== 1 && ports.length !== hosts.length)
    throw new Refusal('must have one port for all hosts, or one for each')
  return hosts.map((text, index) => {
    const host = decode(text)
    const port = portOf((ports.length === 1 ? ports[0] : ports[index]) ?? '')
    return { ...(host !== '' && { host }), ...(port !== undefined && { port }) }
  })
}

function hostAndPort(text: string): { readonly host: string; readonly port: string } {
  const [, v6, name, port = ''] = /^(?:\[([0-9a-f:.%]+)\]|([^:[\]]*))(?::(.*))?$/is.exec(text) ?? []
  const host = v6 ?? name
  if (host === undefined) throw new Refusal(`has an invalid host; ${encode}`)
  return { host, port }
}

function portOf(text: string): number | undefined {
  if (text === '') return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port >= 1 && port <= 65_535) return port
  throw new Refusal(`has a port that is not a number from 1 to 65535; ${encode}`)
}

/** The driver's own spellings beside libpq's. */
const otherSpellings: Readonly<Record<string, Encryption>> = {
  'no-verify': 'require',
  true: 'verify-full',
  1: 'verify-full',
  false: 'disable',
  0: 'disable',
}

function encryptionOf(
  parameters: Parameters,
): Pick<DatabaseUrl, 'encryption' | 'rootCertificate' | 'certificate' | 'key'> {
  const said = parameters.get('sslmode') || parameters.get('ssl')
  const given = (said && otherSpellings[said]) || said
  const encryption = encryptions.find((one) => one === given)
  if (given && !encryption) throw new Refusal(`has an unknown sslmode; known are ${encryptions.join(', ')}`)
  const rootCertificate = parameters.get('sslrootcert') || undefined
  const certificate = parameters.get('sslcert') || undefined
  const key = parameters.get('sslkey') || undefined
  if (encryption === 'verify-ca' && (rootCertificate === undefined || rootCertificate === 'system'))
    throw new Refusal(
      'asks for sslmode=verify-ca without an authority of its own: name its file as sslrootcert, or use verify-full',
    )
  if (rootCertificate === 'system' && encryption !== undefined && encryption !== 'verify-full')
    throw new Refusal('has sslrootcert=system, which goes with sslmode=verify-full only')
  if (certificate !== undefined && key === undefined) throw new Refusal('names an sslcert without its sslkey')
  return {
    // With certificates and no mode, libpq would encrypt only where it can; this program always encrypts then.
    ...(encryption !== undefined
      ? { encryption }
      : (rootCertificate ?? certificate) !== undefined && { encryption: 'verify-full' as const }),
    ...(rootCertificate !== undefined && { rootCertificate }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
  }
}

/** `-c name=value` and `--name=value`, in which a backslash stands before a space of the value. */
function settingsOf(options: string, parameters: Parameters): ReadonlyMap<string, string> {
  const words = options.match(/(?:\\.|[^\s\\])+/gs) ?? []
  const found = new Map<string, string>()
  for (const [index, word] of words.entries()) {
    const isSetting = word.startsWith('--') || words[index - 1] === '-c' || /^-c./.test(word)
    const [, name, value] = /^(?:--|-c)?([\w.-]+)=(.*)$/s.exec(word) ?? []
    if (isSetting && name !== undefined)
      found.set(name.replaceAll('-', '_').toLowerCase(), (value ?? '').replaceAll(/\\(.)/gs, '$1'))
  }
  for (const name of settingNames) {
    const value = parameters.get(name)
    if (value) found.set(name, value)
  }
  return found
}
