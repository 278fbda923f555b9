import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Web pages that may call the gateway themselves (CORS, as the Fetch standard has it). Only origins that the operator
 * lists, only the paths for access tokens, and never with cookies: a page has to bring an access token, so that it can
 * do no more than any other program with that access token. A preflight carries no credential and is answered before
 * authentication.
 */
export interface Cors {
  /** Sets what a page's answer needs; true where the request was a preflight, which is answered with it. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => boolean
}

/** How long browsers cache a preflight's answer, in seconds; Chromium's maximum. */
const maxAge = '7200'
const headerNames = /^[\w!#$%&'*+.^`|~,\t -]{1,4096}$/

/**
 * @param origins such as `https://chat.example.org`; `*` for all
 * @param isHolders whether a target is one for holders of access tokens
 */
export function createCors(origins: readonly string[], isHolders: (target: string) => boolean): Cors {
  const listed = new Set(origins)

  function allowedOf(origin: string): string | undefined {
    if (listed.has('*')) return '*'
    return listed.has(origin) ? origin : undefined
  }

  return {
    answer(request, response) {
      const { origin } = request.headers
      if (origin === undefined || !isHolders(request.url ?? '')) return false
      const allowed = allowedOf(origin)
      response.setHeader('vary', 'origin')
      if (allowed === undefined) return false
      response.setHeader('access-control-allow-origin', allowed)
      if (!isPreflight(request)) {
        response.setHeader('access-control-expose-headers', '*')
        return false
      }
      const wanted = request.headers['access-control-request-headers']
      response
        .writeHead(204, {
          'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
          ...(wanted !== undefined && headerNames.test(wanted) && { 'access-control-allow-headers': wanted }),
          'access-control-max-age': maxAge,
          vary: 'origin, access-control-request-headers',
        })
        .end()
      return true
    },
  }
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}
