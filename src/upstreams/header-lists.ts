import type { AnswerHeaders } from './retry-after.ts'

/**
 * Which headers pass the gateway: those of an allow list, except those that `Connection` names (RFC 9110, 7.6.1) and
 * those that would be wrong on the other side. Lists of headers are flat (name, value, name, value), as node:http and
 * undici write them without further work.
 */
const neverPassed: readonly string[] = [
  // Hop-by-hop headers.
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // The framing and address of a request here. `accept-encoding`: a compressed answer could not be metered as it
  // passes.
  'host',
  'expect',
  'accept-encoding',
  // Credentials, of users or of the operator, whatever the protocol.
  'authorization',
  'x-auth-token',
  'x-tollgate-key',
  'cookie',
  'set-cookie',
  // Addresses of users.
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'fly-client-ip',
  'forwarded',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-real-ip',
  // Tollgate sets these itself on every answer.
  'server-timing',
  'x-request-id',
]

/** Addresses of users, and what Open WebUI says of them. */
const privatePrefixes = ['x-forwarded-', 'x-openwebui-user-']

export interface HeaderList {
  readonly has: (lowerCaseName: string) => boolean
}

/** Whether a header is never passed on, whatever a list says. */
export type IsNeverPassed = (lowerCaseName: string) => boolean

/** @param privateNames headers of the protocols that may hold a credential, in lower case */
export function createNeverPassed(privateNames: readonly string[]): IsNeverPassed {
  const names = new Set([...neverPassed, ...privateNames])
  return (name) => names.has(name) || privatePrefixes.some((prefix) => name.startsWith(prefix))
}

/** @param names lower-case; one that ends in `*` stands for a prefix */
export function createHeaderList(names: readonly string[], isNeverPassed: IsNeverPassed): HeaderList {
  const exact = new Set(names.filter((name) => !name.endsWith('*') && !isNeverPassed(name)))
  const starts = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  return {
    has: (name) =>
      exact.has(name) || (starts.some((start) => name.startsWith(start)) && !isNeverPassed(name)),
  }
}

/**
 * A user's request headers as they go upstream.
 *
 * @param raw the request's `rawHeaders`
 */
export function requestHeaders(raw: readonly string[], passed: HeaderList): string[] {
  const named = namedByConnection(raw)
  const list: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    // The length is that of the body that is sent, not the client's.
    if (!passed.has(name) || name === 'content-length' || named?.has(name)) continue
    list.push(name, raw[index + 1] ?? '')
  }
  list.push('accept-encoding', 'identity')
  return list
}

const jsonType = /^application\/json(\s*;\s*charset="?utf-8"?)?$/i

/**
 * The same for a body that was read as JSON: an upstream that goes by another stated format would read other members in
 * it.
 */
export function withJsonType(list: string[]): string[] {
  for (let index = 0; index + 1 < list.length; index += 2) {
    if (list[index] !== 'content-type') continue
    if (!jsonType.test(list[index + 1] ?? '')) list[index + 1] = 'application/json'
    return list
  }
  list.push('content-type', 'application/json')
  return list
}

/** An upstream's answer headers as they go to the client; the caller adds its own. */
export function answerHeaders(headers: AnswerHeaders, passed: HeaderList): string[] {
  const named = listed(headers.connection)
  const list: string[] = []
  for (const name in headers) {
    if (!passed.has(name) || named?.has(name)) continue
    const value = headers[name]
    if (typeof value === 'string') list.push(name, value)
    else for (const each of value ?? []) list.push(name, each)
  }
  return list
}

/** The headers that an upstream adds to every request, as flat lists of lower-case names and values. */
export interface OwnHeaders {
  /** Replaces the client's headers of the same names. */
  readonly credential: readonly string[]
  /** Sent where the client sent none of the name. */
  readonly defaults: readonly string[]
}

export function withOwn(list: readonly string[], own: OwnHeaders): string[] {
  const all: string[] = []
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = list[index] ?? ''
    if (!isListed(own.credential, name)) all.push(name, list[index + 1] ?? '')
  }
  for (let index = 0; index + 1 < own.defaults.length; index += 2) {
    const name = own.defaults[index] ?? ''
    if (!isListed(list, name)) all.push(name, own.defaults[index + 1] ?? '')
  }
  all.push(...own.credential)
  return all
}

function isListed(list: readonly string[], name: string): boolean {
  for (let index = 0; index < list.length; index += 2) if (list[index] === name) return true
  return false
}

function namedByConnection(raw: readonly string[]): ReadonlySet<string> | undefined {
  let named: ReadonlySet<string> | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (name.length === 10 && name.toLowerCase() === 'connection') {
      named = new Set([...(named ?? []), ...(listed(raw[index + 1]) ?? [])])
    }
  }
  return named
}

function listed(value: string | string[] | undefined): ReadonlySet<string> | undefined {
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined
  const text = typeof value === 'string' ? value : value.join(',')
  return new Set(text.split(',').map((name) => name.trim().toLowerCase()))
}
