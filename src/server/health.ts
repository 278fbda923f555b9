import type { IncomingMessage, ServerResponse } from 'node:http'
import { linger } from '#http/linger.ts'

/**
 * For whoever restarts and balances: `/healthz` says that the process runs, `/readyz` that it can do its work,
 * which ends with the first sign of stopping so that a balancer looks elsewhere. Both tell what is known already: a
 * question costs the store nothing.
 */
export interface Health {
  readonly takes: (path: string) => boolean
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
  readonly stopping: () => void
}

/** By the name of each part `ok`, or in words what is wrong with it. They name no address, no path and no secret. */
type Parts = Readonly<Record<string, string>>

interface Sources {
  /** Each of which it takes for an admission. */
  readonly parts: () => Parts
  /** What works less well than it should; told beside `ready`, which it does not change. */
  readonly notes: () => readonly string[]
}

interface Said {
  readonly status: number
  readonly body: object
}

export function createHealth({ parts, notes }: Sources): Health {
  let isStopping = false

  function readiness(): Said {
    if (isStopping) return { status: 503, body: { status: 'stopping', error: 'stopping' } }
    const known = parts()
    const wrong = new Set(Object.values(known).filter((words) => words !== 'ok'))
    const noted = notes()
    const more = { ...known, ...(noted.length > 0 && { notes: noted }) }
    if (wrong.size === 0) return { status: 200, body: { status: 'ready', ...more } }
    const error = `no request can be admitted: ${[...wrong].join('; ')}`
    return { status: 503, body: { status: 'unavailable', error, ...more } }
  }

  function said({ method, url = '' }: IncomingMessage): Said {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: { error: 'use GET' } }
    return url.startsWith('/healthz') ? { status: 200, body: { status: 'ok' } } : readiness()
  }

  return {
    takes: (path) => /^\/(healthz|readyz)(\?|$)/.test(path),
    stopping: () => {
      isStopping = true
    },
    answer(request, response) {
      const { status, body } = said(request)
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
      response.writeHead(status, status === 405 ? { ...headers, allow: 'GET, HEAD' } : headers)
      response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body))
      linger(request)
    },
  }
}
