import type { IncomingMessage } from 'node:http'
import type { Reading } from '#core/reading.ts'
import { read } from '#lib/reading.ts'
import { refuse } from './answer.ts'

/**
 * The request line's target and its host, before a plane is chosen. RFC 9112, section 3.2.2: every server must accept
 * the absolute form (`GET http://host/v1/models`), and its authority replaces `Host`.
 */
export interface Target {
  /** As sent, with its query; begins with `/`. */
  readonly path: string
  /** With its port; undefined where an old client sends no `Host`. */
  readonly host: string | undefined
}

const slash = 0x2f

/** @param credentialHeaders headers of the protocols in which clients may send a credential, in lower case */
export function createTargetReader(
  credentialHeaders: readonly string[],
): (request: IncomingMessage) => Reading<Target> {
  const repeatedHeader = createRepeatedHeader([...single, ...credentialHeaders])
  return ({ url = '/', rawHeaders, headers }) => {
    const twice = repeatedHeader(rawHeaders)
    if (twice !== undefined) return refuse('bad_request', `The header ${twice} was sent twice: send it once.`)
    return targetOf(url, headers.host)
  }
}

function targetOf(url: string, host: string | undefined): Reading<Target> {
  if (url.charCodeAt(0) === slash) return read({ path: url, host })
  const [, authority = '', rest = ''] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url) ?? []
  if (authority === '' || authority.includes('@'))
    return refuse('bad_request', "The request's target must be a path, such as /v1/models.")
  return read({ path: rest.startsWith('/') ? rest : `/${rest}`, host: authority })
}

/**
 * Headers that must not be repeated, because a proxy in front or an upstream could use another one of them than Tollgate.
 * node:http keeps the first or joins them; a second `content-length` it refuses itself.
 */
const single: readonly string[] = ['host', 'authorization', 'content-type']

function createRepeatedHeader(
  names: readonly string[],
): (rawHeaders: readonly string[]) => string | undefined {
  const once: ReadonlySet<string> = new Set(names)
  const lengths: ReadonlySet<number> = new Set(names.map((name) => name.length))
  return (rawHeaders) => {
    let seen = ' '
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] ?? ''
      if (!lengths.has(name.length)) continue
      const lower = name.toLowerCase()
      if (!once.has(lower)) continue
      if (seen.includes(` ${lower} `)) return lower
      seen += `${lower} `
    }
    return undefined
  }
}
