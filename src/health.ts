import type { IncomingMessage, ServerResponse } from 'node:http'
import { linger } from '#http/linger.ts'

/**
 * For whoever restarts and balances: `/healthz` says that the process runs, `/readyz` that it can do its work,
 * which ends with the first sign of stopping so that a balancer looks elsewhere.
 */
export interface Health {
  readonly takes: (path: string) => boolean
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
  readonly stopping: () => void
}

/** @param store.notes what works less well than it should; told beside `ready`, which it does not change. */
export function createHealth(store: {
  readonly ping: () => Promise<boolean>
  readonly notes: () => readonly string[]
}): Health {
  let isStopping = false

  async function statusOf(path: string): Promise<readonly [number, string]> {
    if (path.startsWith('/healthz')) return [200, 'ok']
    if (isStopping) return [503, 'stopping']
    return (await store.ping()) ? [200, 'ready'] : [503, 'the store cannot be reached']
  }

  return {
    takes: (path) => /^\/(healthz|readyz)(\?|$)/.test(path),
    stopping: () => {
      isStopping = true
    },
    answer(request, response) {
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      const found = isRead ? statusOf(request.url ?? '') : Promise.resolve([405, 'use GET'] as const)
      found.then(
        ([status, text]) => {
          const notes = text === 'ready' ? store.notes() : []
          const said = status < 400 ? { status: text } : { error: text }
          const body = JSON.stringify({ ...said, ...(notes.length > 0 && { notes }) })
          const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
          response.writeHead(status, status === 405 ? { ...headers, allow: 'GET, HEAD' } : headers)
          response.end(request.method === 'HEAD' ? undefined : body)
          linger(request)
        },
        () => response.destroy(),
      )
    },
  }
}
