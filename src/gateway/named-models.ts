import type { Clock } from '#core/clock.ts'
import { type Family, familyOf, isCaughtAll } from '#core/family.ts'
import type { Provider } from '#providers/provider.ts'
import type { Upstreams } from '#upstreams/open.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { ModelLists, OwnList } from './model-directory.ts'

/**
 * Whether the upstreams that would serve a model name it, in their configuration or in their own lists. A name that
 * stands in neither may be another spelling of any model (Ollama ignores case, llama.cpp answers every name), so it could
 * evade a limit on that model. Lists are fetched for
 *
 * - names that only a family's `*` matches, from each upstream that serves them;
 * - other names, from each upstream that matches them only by `*`. Left out are the services that a protocol comes from,
 *   which refuse unknown names, and servers without any list, which could otherwise serve no user with limits.
 */
export interface NamedModels {
  /** Answers from the cache. */
  readonly areKnown: (provider: Provider, models: readonly string[]) => boolean
  /** Fetches the lists first, if the cached ones do not name a model. Never rejects. */
  readonly areNamed: (provider: Provider, models: readonly string[]) => Promise<boolean>
}

/** How soon a list is fetched again for a name that it did not hold. */
const againMs = 5000
/** Clients may send any name, so the cache is bounded. */
const rememberedMax = 2048

interface Known extends OwnList {
  readonly askedAt: number
}

export function createNamedModels(
  upstreams: Upstreams,
  listOf: ModelLists,
  families: readonly Family[],
  clock: Clock,
): NamedModels {
  const known = new Map<string, Known>()
  // By protocol and name; cleared when a list changes.
  const remembered = new Map<string, Map<string, boolean>>()

  async function ask(upstream: Upstream): Promise<void> {
    const before = known.get(upstream.name)
    if (before && clock() - before.askedAt < againMs) return
    const { models, hasNone } = await listOf(upstream)
    // The last list of an upstream stays valid while the upstream cannot be asked.
    const kept = models ?? before?.models
    const now: Known = {
      models: kept,
      hasNone: kept === undefined && (hasNone || before?.hasNone === true),
      askedAt: clock(),
    }
    known.set(upstream.name, now)
    if (now.models !== before?.models || now.hasNone !== before?.hasNone) remembered.clear()
  }

  /** The upstreams that may answer this name with another model. */
  function unsureOf(provider: Provider, model: string): readonly Upstream[] {
    const isUnknown = isCaughtAll(model, families)
    const family = familyOf(model, families)
    // A model of no family is refused whatever a list says.
    if (family === undefined) return []
    return upstreams.speaking(provider.name).filter((upstream) => {
      if (!upstream.serves(model)) return false
      const list = known.get(upstream.name)
      const resolvesNone = upstream.isOfficial || !upstream.servesByCatchAll(model) || list?.hasNone === true
      if (!isUnknown && resolvesNone) return false
      // Another form of the name is the same model only if it counts to the same quota.
      const own = list?.models?.filter(({ id }) => familyOf(id, families) === family)
      return !upstream.names(model, own ?? [])
    })
  }

  function isKnown(provider: Provider, model: string): boolean {
    const ofProtocol = remembered.get(provider.name) ?? new Map<string, boolean>()
    const before = ofProtocol.get(model)
    if (before !== undefined) return before
    if (ofProtocol.size >= rememberedMax) ofProtocol.clear()
    const isNamed = unsureOf(provider, model).length === 0
    ofProtocol.set(model, isNamed)
    remembered.set(provider.name, ofProtocol)
    return isNamed
  }

  const areKnown = (provider: Provider, models: readonly string[]) =>
    models.every((model) => isKnown(provider, model))

  return {
    areKnown,
    async areNamed(provider, models) {
      const unsure = new Set(models.flatMap((model) => unsureOf(provider, model)))
      await Promise.all([...unsure].map(ask))
      return areKnown(provider, models)
    },
  }
}
