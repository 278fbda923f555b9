import type { Clock } from '#core/clock.ts'
import type { ListedModel, Provider } from '#providers/provider.ts'
import { fetchJson } from '#upstreams/fetch-json.ts'
import type { Upstreams } from '#upstreams/open.ts'
import type { Upstream } from '#upstreams/upstream.ts'

/**
 * Which models there are on a protocol's operations: what its upstreams say of themselves, as far as their globs
 * let it through, and of one that cannot be asked the names that its configuration spells out.
 */
export type ModelDirectory = (provider: Provider) => Promise<readonly ListedModel[]>

const keptMs = 60_000
/** An upstream that could not be asked is asked again sooner. */
const keptAfterFailureMs = 5000
const askTimeoutMs = 3000
const listBytesMax = 8 * 1024 * 1024

interface Kept {
  readonly models: Promise<readonly ListedModel[] | undefined>
  until: number
}

export function createModelDirectory(upstreams: Upstreams, clock: Clock): ModelDirectory {
  const kept = new Map<string, Kept>()

  function modelsOf(upstream: Upstream): Promise<readonly ListedModel[] | undefined> {
    const known = kept.get(upstream.name)
    if (known && known.until > clock()) return known.models
    const entry: Kept = { models: ask(upstream), until: clock() + keptMs }
    kept.set(upstream.name, entry)
    return entry.models.then((models) => {
      if (!models) entry.until = clock() + keptAfterFailureMs
      return models
    })
  }

  return async (provider) => {
    const asked = upstreams.speaking(provider.name)
    const lists = await Promise.all(
      asked.map(async (upstream) => (await modelsOf(upstream)) ?? spelledOut(upstream)),
    )
    const byId = new Map<string, ListedModel>()
    for (const [index, list] of lists.entries()) {
      for (const model of list) {
        if (asked[index]?.serves(model.id) && !byId.has(model.id)) byId.set(model.id, model)
      }
    }
    return [...byId.values()]
  }
}

function spelledOut(upstream: Upstream): readonly ListedModel[] {
  return upstream.models.filter((glob) => !glob.includes('*')).map((id) => ({ id }))
}

async function ask(upstream: Upstream): Promise<readonly ListedModel[] | undefined> {
  // Long lists come in pages where a protocol has pages; the others ignore it.
  const path = `${modelsPathOf(upstream.provider)}?limit=1000`
  const answer = await fetchJson(upstream, path, { timeoutMs: askTimeoutMs, bytesMax: listBytesMax })
  if (typeof answer !== 'object' || answer === null || !('data' in answer) || !Array.isArray(answer.data)) {
    return undefined
  }
  return answer.data.filter(isModel).map((source) => ({ id: source.id, source }))
}

/** A base address stands for the same part of the path on every operation, so one of them tells for all. */
function modelsPathOf(provider: Provider): string {
  const [endpoint] = provider.endpoints
  const shortened = endpoint ? endpoint.path.length - endpoint.upstreamPath.length : 0
  return '/v1/models'.slice(shortened)
}

function isModel(value: unknown): value is { readonly id: string } {
  return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string'
}
