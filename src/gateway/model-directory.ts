import type { Clock } from '#core/clock.ts'
import type { ListedModel, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { type Probe, probeModels } from '#upstreams/probe.ts'
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

/** What one upstream says of itself. */
export interface OwnList {
  /** Undefined where it cannot be asked. */
  readonly models: readonly ListedModel[] | undefined
  /** It can be asked, and has no such list. */
  readonly hasNone: boolean
}

interface Kept {
  readonly list: Promise<OwnList>
  until: number
}

/** What each upstream says of itself, asked again after a while. */
export type ModelLists = (upstream: Upstream) => Promise<OwnList>

export function createModelLists(clock: Clock): ModelLists {
  const kept = new Map<string, Kept>()

  return (upstream) => {
    const known = kept.get(upstream.name)
    if (known && known.until > clock()) return known.list
    const entry: Kept = { list: ask(upstream), until: clock() + keptMs }
    kept.set(upstream.name, entry)
    return entry.list.then((list) => {
      if (!list.models) entry.until = clock() + keptAfterFailureMs
      return list
    })
  }
}

export function createModelDirectory(upstreams: Upstreams, listOf: ModelLists): ModelDirectory {
  return async (provider) => {
    const asked = upstreams.speaking(provider.name)
    const offered = async (upstream: Upstream) => upstream.offered((await listOf(upstream)).models)
    const lists = await Promise.all(asked.map(offered))
    const byId = new Map<string, ListedModel>()
    for (const model of lists.flat()) if (!byId.has(model.id)) byId.set(model.id, model)
    return [...byId.values()]
  }
}

async function ask(upstream: Upstream): Promise<OwnList> {
  const probe = await probeModels(upstream, askTimeoutMs)
  return { models: probe.kind === 'listed' ? probe.models : undefined, hasNone: hasNoList(probe) }
}

/** Not there, not for reading, not built: what servers say that know no such operation. */
const unknownOperation: readonly number[] = [404, 405, 501]

function hasNoList(probe: Probe): boolean {
  return probe.kind === 'answered' ? unknownOperation.includes(probe.status) : 'isNoList' in probe
}
