import type { Issue } from '#core/errors.ts'
import { invalid, type Parsed } from '#core/parsed.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { read } from '#lib/reading.ts'

/**
 * The target of the request line, split as it was sent. URL parsers resolve `..` and `%2e%2e` and forgive broken
 * escapes. An access token may contain any of these, so its path segment is taken raw and decoded once, strictly.
 * Routing works on the raw segments too: authentication and handler see the same path.
 */
export interface RequestTarget {
  /** As sent, without the query; begins with `/` unless the target is not a path. */
  readonly path: string
  /** As sent, without `?`. */
  readonly query: string
}

/** @param raw `/path?query`, or the absolute form, which is meant for proxies and must be accepted by every server */
export function parseRequestTarget(raw: string): RequestTarget {
  const relative = raw.replace(/^https?:\/\/[^/?#]*/i, '')
  const [sent = ''] = relative.split('#', 1)
  const at = sent.indexOf('?')
  const path = at < 0 ? sent : sent.slice(0, at)
  return { path: path === '' ? '/' : path, query: at < 0 ? '' : sent.slice(at + 1) }
}

const nameLengthMax = 80

/** What is wrong with these parameters; an unknown one (`?page=2`) is an error, since it would have no effect. */
export function queryFault(query: string, known: readonly string[]): Issue | undefined {
  const parsing = parseQuery(query)
  if (parsing.kind === 'invalid') return parsing.issues[0]
  const stray = [...parsing.value.keys()].find((name) => !known.includes(name))
  if (stray === undefined) return undefined
  const message =
    known.length === 0
      ? 'is not known: there are no parameters here'
      : `is not known; known are ${known.join(', ')}`
  return { path: stray.slice(0, nameLengthMax).toWellFormed(), message }
}

/** Reads a query in which every name may occur once. */
export function parseQuery(query: string): Parsed<ReadonlyMap<string, string>> {
  const values = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = percentDecoded((at < 0 ? pair : pair.slice(0, at)).replaceAll('+', ' '))
    const value = at < 0 ? '' : percentDecoded(pair.slice(at + 1).replaceAll('+', ' '))
    if (name === undefined) return invalid('', 'the query holds a broken percent-escape')
    if (value === undefined) return invalid(name, 'holds a broken percent-escape')
    if (values.has(name)) return invalid(name, 'is given twice')
    values.set(name, value)
  }
  return read(values)
}
