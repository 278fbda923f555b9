import type { Clock } from '#core/clock.ts'
import { privateHeadersOf } from '#providers/gathered.ts'
import type { Provider } from '#providers/provider.ts'
import type { UpstreamConfig } from './config.ts'
import { createNeverPassed } from './header-lists.ts'
import { watchHealth } from './health-watch.ts'
import { publicHostsOf } from './own-words.ts'
import { openUpstream, type Upstream } from './upstream.ts'

export interface Upstreams {
  /**
   * The upstreams that may serve a model on a protocol's operations, in the order in which to try them: as configured,
   * without those that rest. When all of them rest, all are returned, the one that is ready first before the others.
   * The further models of a request are reached through the same upstream, so it must serve each of them.
   *
   * @param model undefined for a request that names none, which any upstream of the protocol may take
   * @param only name of the one upstream that may serve it
   */
  readonly candidatesFor: (
    provider: string,
    model: string | undefined,
    beside?: readonly string[],
    only?: string,
  ) => readonly Upstream[]
  /** Every upstream that speaks a protocol, resting or not. */
  readonly speaking: (provider: string) => readonly Upstream[]
  /** A sentence for each protocol of which some rest: it names none, since a reader needs no credential. */
  readonly notes: () => readonly string[]
  readonly close: () => Promise<void>
}

/** An upstream begins to rest, or answers well again; for the log. */
export type UpstreamNews =
  | { readonly kind: 'rests'; readonly upstream: string; readonly reason: string | undefined }
  | { readonly kind: 'returned'; readonly upstream: string; readonly forMs: number }

/** Opens every configured upstream. Throws where one names an unknown provider or an invalid address. */
export function openUpstreams(
  configs: readonly UpstreamConfig[],
  options: {
    readonly providers: readonly Provider[]
    readonly clock: Clock
    readonly onNews?: (news: UpstreamNews) => void
  },
): Upstreams {
  const isNeverPassed = createNeverPassed(privateHeadersOf(options.providers))
  const publicHosts = publicHostsOf(options.providers)
  const all = configs.map((config) => {
    const provider = options.providers.find(({ name }) => name === config.provider)
    if (!provider) throw new TypeError(`upstream ${config.name}: there is no provider ${config.provider}`)
    const { onNews } = options
    const { name: upstream } = config
    const words = {
      onRest: (reason: string | undefined) => onNews?.({ kind: 'rests', upstream, reason }),
      onReturn: (forMs: number) => onNews?.({ kind: 'returned', upstream, forMs }),
    }
    return openUpstream(config, provider, { clock: options.clock, isNeverPassed, publicHosts, words })
  })
  const watches = all.flatMap((upstream, index) => {
    const everyMs = configs[index]?.healthEveryMs
    return everyMs === undefined ? [] : [watchHealth(upstream, everyMs)]
  })
  const byProvider = Map.groupBy(all, ({ provider }) => provider.name)
  const speaking = (provider: string) => byProvider.get(provider) ?? []
  return {
    speaking,
    candidatesFor(provider, model, beside = [], only) {
      const serving = speaking(provider).filter(
        (upstream) =>
          (model === undefined || upstream.serves(model)) &&
          beside.every((name) => upstream.serves(name)) &&
          (only === undefined || upstream.name === only),
      )
      if (serving.length < 2) return serving
      const ready = serving.filter((upstream) => !upstream.health.isResting())
      if (ready.length > 0) return ready
      return serving.sort((one, other) => one.health.restsUntil() - other.health.restsUntil())
    },
    notes: () =>
      options.providers.flatMap(({ name }) => {
        const those = speaking(name)
        const resting = those.filter(({ health }) => health.isResting()).length
        if (resting === 0) return []
        return [`${resting} of ${those.length} upstreams of ${name} rest: the log says which, and why`]
      }),
    async close() {
      for (const end of watches) end()
      await Promise.all(all.map((upstream) => upstream.close()))
    },
  }
}
