import type { Clock } from '#core/clock.ts'
import type { ListedModel, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import { type Probe, probeModels } from '#upstreams/probe.ts'
import type { Upstream } from '#upstreams/upstream.ts'

/**
 * The models that a protocol's operations serve: those that its upstreams list and that their globs allow. An upstream
 * that cannot be asked adds the names that its configuration spells out.
 */
export type ModelDirectory = (provider: Provider) => Promise<readonly ListedModel[]>

const keptMs = 60_000
/** A failure is cached for a shorter time. */
const keptAfterFailureMs = 5000
const askTimeoutMs = 3000

/** The list of models that one upstream gives. */
export interface OwnList {
  /** Undefined if the upstream cannot be asked. */
  readonly models: readonly ListedModel[] | undefined
  /** The upstream answers, but has no such list. */
  readonly hasNone: boolean
}

interface Kept {
  readonly list: Promise<OwnList>
  until: number
}

/** Each upstream's own list, cached for a while. */
export type ModelLists = (upstream: Upstream) => Promise<OwnList>

export type OnListed = (upstream: string, models: readonly string[]) => void

/** @param onListed told of the names that an upstream lists and that are served here */
export function createModelLists(clock: Clock, onListed?: OnListed): ModelLists {
  const kept = new Map<string, Kept>()

  return (upstream) => {
    const known = kept.get(upstream.name)
    if (known && known.until > clock()) return known.list
    const entry: Kept = { list: ask(upstream), until: clock() + keptMs }
    kept.set(upstream.name, entry)
    return entry.list.then((list) => {
      if (!list.models) entry.until = clock() + keptAfterFailureMs
      else {
        const names = upstream.offered(list.models).map(({ id }) => id)
        onListed?.(upstream.name, names)
      }
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

/** Statuses of servers without this operation: not found, method not allowed, not implemented. */
const unknownOperation: readonly number[] = [404, 405, 501]

function hasNoList(probe: Probe): boolean {
  return probe.kind === 'answered' ? unknownOperation.includes(probe.status) : 'isNoList' in probe
}
