import type { AnswerHeaders } from './retry-after.ts'

/**
 * Which headers cross the gateway. Lists are flat (name, value, name, value), as node:http and undici write
 * them without further work. Hop-by-hop headers (RFC 9110, 7.6.1) end here, with those that `Connection` names.
 */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** What a user's request carries that is for us alone: credentials, where it came from, how it was framed. */
const keptFromUpstreams: ReadonlySet<string> = new Set([
  ...hopByHop,
  'host',
  'content-length',
  'expect',
  'authorization',
  'x-api-key',
  'cookie',
  'forwarded',
  'via',
  'x-real-ip',
  // A compressed answer could not be metered as it passes.
  'accept-encoding',
])

/** Of an answer: `x-request-id` is ours, and a cookie would tie users to the operator's session. */
const keptFromClients: ReadonlySet<string> = new Set([...hopByHop, 'x-request-id', 'set-cookie'])

/**
 * A user's request headers as they go upstream.
 *
 * @param raw the request's `rawHeaders`
 * @param accountHeaders names by which an account at the provider is chosen: under the operator's credential only
 *   the operator may choose one
 */
export function requestHeaders(raw: readonly string[], accountHeaders: readonly string[]): string[] {
  const named = namedByConnection(raw)
  const list: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    if (keptFromUpstreams.has(name) || name.startsWith('x-forwarded-') || named?.has(name)) continue
    if (accountHeaders.includes(name)) continue
    list.push(name, raw[index + 1] ?? '')
  }
  list.push('accept-encoding', 'identity')
  return list
}

/** An upstream's answer headers as they go to the client; the caller adds its own. */
export function answerHeaders(
  headers: AnswerHeaders,
  isPrivate: (lowerCaseName: string) => boolean,
): string[] {
  const named = listed(headers.connection)
  const list: string[] = []
  for (const name in headers) {
    if (keptFromClients.has(name) || named?.has(name) || isPrivate(name)) continue
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
