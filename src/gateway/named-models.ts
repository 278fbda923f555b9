import type { Clock } from '#core/clock.ts'
import type { ListedModel, Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { ModelLists } from './model-directory.ts'

/**
 * Whether every upstream that would be asked for a model names it: by its configuration, or in its own list. A name
 * that nothing names may be another spelling of any of its models (Ollama ignores case, llama.cpp answers every name),
 * so that a limit on one of them could be evaded by it.
 *
 * Waits only for names that are new; those that were found stay known without asking.
 */
export type NamedModels = (provider: Provider, model: string) => boolean | Promise<boolean>

/** How soon a name that was not there is looked for again. */
const againMs = 5000

interface Known {
  readonly models: readonly ListedModel[]
  readonly askedAt: number
}

export function createNamedModels(upstreams: Upstreams, listOf: ModelLists, clock: Clock): NamedModels {
  const known = new Map<string, Known>()

  async function ask(upstream: Upstream): Promise<void> {
    const before = known.get(upstream.name)
    if (before && clock() - before.askedAt < againMs) return
    const models = await listOf(upstream)
    // What an upstream said stays true for as long as it cannot be asked.
    known.set(upstream.name, { models: models ?? before?.models ?? [], askedAt: clock() })
  }

  return (provider, model) => {
    const serving = upstreams.speaking(provider.name).filter((upstream) => upstream.serves(model))
    const isNamed = (upstream: Upstream) => upstream.names(model, known.get(upstream.name)?.models ?? [])
    const unsure = serving.filter((upstream) => !isNamed(upstream))
    if (unsure.length === 0) return true
    return Promise.all(unsure.map(ask)).then(() => unsure.every(isNamed))
  }
}
