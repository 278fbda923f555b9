import type { Clock } from '#core/clock.ts'
import type { ListedModel, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { probeModels } from '#upstreams/probe.ts'
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

interface Kept {
  readonly models: Promise<readonly ListedModel[] | undefined>
  until: number
}

/** What one upstream says of itself; undefined where it cannot be asked. Asked again after a while. */
export type ModelLists = (upstream: Upstream) => Promise<readonly ListedModel[] | undefined>

export function createModelLists(clock: Clock): ModelLists {
  const kept = new Map<string, Kept>()

  return (upstream) => {
    const known = kept.get(upstream.name)
    if (known && known.until > clock()) return known.models
    const entry: Kept = { models: ask(upstream), until: clock() + keptMs }
    kept.set(upstream.name, entry)
    return entry.models.then((models) => {
      if (!models) entry.until = clock() + keptAfterFailureMs
      return models
    })
  }
}

export function createModelDirectory(upstreams: Upstreams, listOf: ModelLists): ModelDirectory {
  return async (provider) => {
    const asked = upstreams.speaking(provider.name)
    const lists = await Promise.all(asked.map(async (upstream) => upstream.offered(await listOf(upstream))))
    const byId = new Map<string, ListedModel>()
    for (const model of lists.flat()) if (!byId.has(model.id)) byId.set(model.id, model)
    return [...byId.values()]
  }
}

async function ask(upstream: Upstream): Promise<readonly ListedModel[] | undefined> {
  const probe = await probeModels(upstream, askTimeoutMs)
  return probe.kind === 'listed' ? probe.models : undefined
}
