import type { Upstream } from './upstream.ts'

/** Gets a small JSON document from an upstream; undefined where it cannot be had. Never rejects. */
export function fetchJson(
  upstream: Upstream,
  path: string,
  bounds: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<unknown> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (value: unknown) => {
      clearTimeout(timer)
      exchange.abort()
      resolve(value)
    }
    const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
    // Over the whole document, where the exchange's own time ends with the headers.
    const timer = setTimeout(() => finish(undefined), bounds.timeoutMs)
    const exchange = upstream.send(
      { method: 'GET', path, headers, body: null, headersTimeoutMs: bounds.timeoutMs },
      {
        onSent() {},
        onStart(status) {
          if (status !== 200) finish(undefined)
        },
        onData(chunk) {
          bytes += chunk.length
          if (bytes > bounds.bytesMax) finish(undefined)
          else chunks.push(chunk)
        },
        onEnd: () => finish(parsed(Buffer.concat(chunks))),
        // May come before `send` has returned.
        onFailure: () => setImmediate(finish, undefined),
      },
    )
  })
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}
