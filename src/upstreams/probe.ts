import type { ListedModel, Provider } from '#providers/provider.ts'
import type { Upstream } from './upstream.ts'

/** The result of asking an upstream for its models. */
export type Probe =
  | { readonly kind: 'listed'; readonly models: readonly ListedModel[] }
  /** `location`: where a redirect leads, as it says itself. */
  | { readonly kind: 'answered'; readonly status: number; readonly location?: string }
  /** `isNoList`: the answer was successful but not a list of models. */
  | { readonly kind: 'failed'; readonly cause: unknown; readonly isNoList?: boolean }

const listBytesMax = 8 * 1024 * 1024

/** Asks an upstream for its models. Never rejects. */
export function probeModels(upstream: Upstream, timeoutMs: number): Promise<Probe> {
  const { provider } = upstream
  const path = provider.upstreamModelsPath + provider.modelsQuery
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (probe: Probe) => {
      clearTimeout(timer)
      exchange.abort()
      resolve(probe)
    }
    const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
    // A timeout for the whole document; the exchange's own timeout ends with the headers.
    const late = () => finish({ kind: 'failed', cause: new Error(`no answer within ${timeoutMs} ms`) })
    const timer = setTimeout(late, timeoutMs)
    const exchange = upstream.send(
      { method: 'GET', path, headers, body: null, headersTimeoutMs: timeoutMs },
      {
        onSent() {},
        onStart(status, { location }) {
          if (status === 200) return
          finish({ kind: 'answered', status, ...(typeof location === 'string' && { location }) })
        },
        onData(chunk) {
          bytes += chunk.length
          if (bytes > listBytesMax) finish({ kind: 'failed', cause: new Error('the list is too long') })
          else chunks.push(chunk)
        },
        onEnd: () => finish(readList(Buffer.concat(chunks), provider)),
        // The event may come before `send` has returned.
        onFailure: ({ cause }) => setImmediate(finish, { kind: 'failed', cause }),
      },
    )
  })
}

function readList(body: Buffer, { readModelList }: Provider): Probe {
  let answer: unknown
  try {
    answer = JSON.parse(body.toString())
  } catch {
    return { kind: 'failed', cause: new Error('the answer is no JSON'), isNoList: true }
  }
  const models = readModelList(answer)
  return models
    ? { kind: 'listed', models }
    : { kind: 'failed', cause: new Error('the answer is no list of models'), isNoList: true }
}
