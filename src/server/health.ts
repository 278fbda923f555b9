import type { IncomingMessage, ServerResponse } from 'node:http'
import { linger } from '#http/linger.ts'

/**
 * For process supervisors and load balancers: `/healthz` says that the process runs, `/readyz` that it can admit
 * requests. `/readyz` is 503 from the beginning of a stop, so that a balancer uses other instances. Both answer from
 * known state: a probe costs the store nothing.
 */
export interface Health {
  readonly takes: (path: string) => boolean
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
  readonly stopping: () => void
}

/** For each part `ok`, or a sentence that says what is wrong, without address, path or secret. */
type Parts = Readonly<Record<string, string>>

interface Sources {
  /** The parts that an admission needs. */
  readonly parts: () => Parts
  /** What works less well than it should; shown beside `ready`, which it does not change. */
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
