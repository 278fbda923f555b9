import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { type DatabaseHost, type DatabaseUrl, hostName, parseDatabaseUrl, whereOf } from '../database-url.ts'

/**
 * The servers that a URL names, and what has been learned of them: which one takes what is written, and what the pooler
 * before them cannot do. Every connection of one URL shares it, so that after a failover one finds the new primary for
 * all.
 */
export interface Servers {
  /** Hosts and database, without user and password. */
  readonly where: string
  /** How many ways there are. */
  readonly count: number
  readonly url: DatabaseUrl
  /** The way to try next: the one that led to a server that writes, as long as it does. */
  readonly current: () => Way
  /** It led nowhere: the next one is tried. */
  readonly leave: (way: Way) => void
  /** Whether statements may be prepared under a name. */
  readonly mayName: () => boolean
  /** The pooler gives each transaction another server connection, and keeps no prepared statements for any. */
  readonly forgoNames: () => void
}

/** One host by one kind of encryption. */
export interface Way {
  readonly name: string
  readonly config: pg.ClientConfig
}

/** @param setting where the URL was given, to begin sentences with. */
export function openServers(text: string, setting: string): Servers {
  const parsed = parseDatabaseUrl(text)
  if (parsed.kind === 'refused') throw new Error(`${setting}: ${parsed.reason}`)
  const { url } = parsed
  const read = (parameter: string, path: string) => readPem(`${setting}: ${parameter}`, path)
  const ways = shuffled(url).flatMap((host) => waysTo(host, url, read))
  let [at, mayName] = [0, true]
  const current = () => ways[at] ?? raise()
  return {
    where: whereOf(url),
    count: ways.length,
    url,
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
 * What libpq means by each mode: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION. The
 * driver's own reading would take `require` for `verify-full`, and refuse certificates of an operator's own.
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
