import type { AnswerHeaders } from './retry-after.ts'

/**
 * Which headers cross the gateway: those that a list names, and of those none that `Connection` names (RFC 9110, 7.6.1)
 * nor any that could never be right on the other side. Lists of headers are flat (name, value, name, value), as
 * node:http and undici write them without further work.
 */
const neverPassed: ReadonlySet<string> = new Set([
  // Of one connection only.
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // How a request was framed and addressed here. A compressed answer could not be metered as it passes.
  'host',
  'expect',
  'accept-encoding',
  // Credentials, of users here or of the operator there.
  'authorization',
  'api-key',
  'x-api-key',
  'x-auth-token',
  'x-goog-api-key',
  'x-tollgate-key',
  'cookie',
  'set-cookie',
  // Where a user came from.
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
  // This gateway's own on every answer.
  'server-timing',
  'x-request-id',
])

export interface HeaderList {
  readonly has: (lowerCaseName: string) => boolean
}

/** @param names lower-case; one that ends in `*` stands for all that begin so */
export function createHeaderList(names: readonly string[]): HeaderList {
  const exact = new Set(names.filter((name) => !name.endsWith('*') && !isNeverPassed(name)))
  const starts = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))
  return {
    has: (name) =>
      exact.has(name) || (starts.some((start) => name.startsWith(start)) && !isNeverPassed(name)),
  }
}

/** Whether a header stays on its side whatever a list says. */
export function isNeverPassed(lowerCaseName: string): boolean {
  return neverPassed.has(lowerCaseName) || lowerCaseName.startsWith('x-forwarded-')
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
    // Its length is what is sent, whatever the client said.
    if (!passed.has(name) || name === 'content-length' || named?.has(name)) continue
    list.push(name, raw[index + 1] ?? '')
  }
  list.push('accept-encoding', 'identity')
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

/** What an upstream adds to every request, as flat lists of lower-case names and values. */
export interface OwnHeaders {
  /** Stands whatever the client sent. */
  readonly credential: readonly string[]
  /** Sent where the client did not say. */
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
