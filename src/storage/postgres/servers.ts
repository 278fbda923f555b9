import { readFileSync } from 'node:fs'
import pg from 'pg'
import { isLoopbackName } from '#core/network.ts'
import { type DatabaseHost, type DatabaseUrl, hostName, parseDatabaseUrl, whereOf } from '../database-url.ts'

/**
 * The servers that a URL names, and what has been learned about them: which one accepts writes, and what the pooler
 * in front of them cannot do. All connections of one URL share this, so after a failover one connection finds the new
 * primary for all.
 */
export interface Servers {
  /** Hosts and database, without user and password. */
  readonly where: string
  /** The number of ways. */
  readonly count: number
  readonly url: DatabaseUrl
  /** Hosts on other machines to which a connection is made without TLS, or would be where TLS is refused. */
  readonly plain: readonly string[]
  /** The way to try next. Stays on the one that led to a writable server while that works. */
  readonly current: () => Way
  /** The way failed: the next one is tried. */
  readonly leave: (way: Way) => void
  /** Whether statements may be prepared under a name. */
  readonly mayName: () => boolean
  /** The pooler gives each transaction another server connection and does not keep prepared statements. */
  readonly forgoNames: () => void
}

/** One host by one kind of encryption. */
export interface Way {
  readonly name: string
  readonly config: pg.ClientConfig
}

/** @param setting the setting that holds the URL; messages begin with it */
export function openServers(text: string, setting: string): Servers {
  const parsed = parseDatabaseUrl(text)
  if (parsed.kind === 'invalid') throw new Error(`${setting}: ${parsed.message}`)
  const url = parsed.value
  const read = (parameter: string, path: string) => readPem(`${setting}: ${parameter}`, path)
  const ways = shuffled(url).flatMap((host) => waysTo(host, url, read))
  let [at, mayName] = [0, true]
  const current = () => ways[at] ?? raise()
  return {
    where: whereOf(url),
    count: ways.length,
    url,
    plain: plainHosts(ways),
    current,
    leave(way) {
      if (way === current()) at = (at + 1) % ways.length
    },
    mayName: () => mayName,
    forgoNames: () => {
      mayName = false
    },
  }
}

/** By the driver's own reading of each way, which includes its variables of the environment. */
function plainHosts(ways: readonly Way[]): readonly string[] {
  const plain = ways.filter(({ config }) => {
    const { host, ssl } = new pg.Client(config)
    return !ssl && !host.startsWith('/') && !isLoopbackName(host)
  })
  return [...new Set(plain.map(({ name }) => name))]
}

function raise(): never {
  throw new Error('a URL names no host')
}

function shuffled({ hosts, isShuffled }: DatabaseUrl): readonly DatabaseHost[] {
  if (!isShuffled) return hosts
  const placed = hosts.map((host) => ({ host, place: Math.random() }))
  return placed.toSorted((a, b) => a.place - b.place).map(({ host }) => host)
}

function readPem(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new Error(`${parameter}: cannot read ${path} (${code})`, { cause })
  }
}

type Ssl = pg.ClientConfig['ssl']

function waysTo(
  host: DatabaseHost,
  url: DatabaseUrl,
  read: (parameter: string, path: string) => string,
): Way[] {
  const { user, password, database, options } = url
  const base: pg.ClientConfig = {
    ...(host.host !== undefined && { host: host.host }),
    ...(host.port !== undefined && { port: host.port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ...(options !== undefined && { options }),
    ...(url.isTlsAtOnce && { sslnegotiation: 'direct' as const }),
    enableChannelBinding: url.bindsChannel,
    keepAlive: true,
  }
  const encryptions = host.host?.startsWith('/') ? [false] : encryptionsOf(url, read)
  return encryptions.map((ssl) => ({
    name: hostName(host),
    config: { ...base, ...(ssl !== undefined && { ssl }) },
  }))
}

/**
 * The meaning of each mode in libpq: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION. The
 * driver would treat `require` as `verify-full`, and so refuse certificates that an operator signed.
 */
function encryptionsOf(url: DatabaseUrl, read: (parameter: string, path: string) => string): readonly Ssl[] {
  const { encryption, rootCertificate, certificate, key } = url
  const own = rootCertificate !== undefined && rootCertificate !== 'system'
  const files = {
    ...(own && { ca: read('sslrootcert', rootCertificate) }),
    ...(certificate !== undefined && { cert: read('sslcert', certificate) }),
    ...(key !== undefined && { key: read('sslkey', key) }),
  }
  const unverified = { ...files, rejectUnauthorized: false }
  const byAuthority = { ...files, checkServerIdentity: () => undefined }
  switch (encryption) {
    case 'disable':
      return [false]
    case 'allow':
      return [false, unverified]
    case 'prefer':
      return [unverified, false]
    case 'require':
      return [own ? byAuthority : unverified]
    case 'verify-ca':
      return [byAuthority]
    case 'verify-full':
      return [files]
    default:
      return [url.isTlsAtOnce ? files : undefined]
  }
}
