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
  // Asks for a large page, since one protocol sends long lists in pages; others ignore the parameter.
  const path = `${modelsPathOf(upstream.provider)}?limit=1000`
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
        onEnd: () => finish(readList(Buffer.concat(chunks))),
        // The event may come before `send` has returned.
        onFailure: ({ cause }) => setImmediate(finish, { kind: 'failed', cause }),
      },
    )
  })
}

function readList(body: Buffer): Probe {
  let answer: unknown
  try {
    answer = JSON.parse(body.toString())
  } catch {
    return { kind: 'failed', cause: new Error('the answer is no JSON'), isNoList: true }
  }
  if (typeof answer !== 'object' || answer === null || !('data' in answer) || !Array.isArray(answer.data))
    return { kind: 'failed', cause: new Error('the answer is no list of models'), isNoList: true }
  return { kind: 'listed', models: answer.data.filter(isModel).map((source) => ({ id: source.id, source })) }
}

function isModel(value: unknown): value is { readonly id: string } {
  return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string'
}

/** A base address replaces the same part of the path on every operation, so any operation shows it. */
export function modelsPathOf(provider: Provider): string {
  const [endpoint] = provider.endpoints
  const shortened = endpoint ? endpoint.path.length - endpoint.upstreamPath.length : 0
  return '/v1/models'.slice(shortened)
}
