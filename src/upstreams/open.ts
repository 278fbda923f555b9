import type { Clock } from '#core/clock.ts'
import type { Provider } from '#providers/provider.ts'
import type { UpstreamConfig } from './config.ts'
import { watchHealth } from './health-watch.ts'
import { openUpstream, type Upstream } from './upstream.ts'

export interface Upstreams {
  /**
   * Who may serve a model on a protocol's operations, in the order in which to try them: as configured, without
   * those that rest; when all of them rest, all, the one that is ready first before the others. Models that a request
   * names beside its own are reached through the same upstream, so each must be one that it serves.
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
  readonly close: () => Promise<void>
}

/** Opens every configured upstream. Throws where one names a provider that there is not, or no address. */
export function openUpstreams(
  configs: readonly UpstreamConfig[],
  options: { readonly providers: readonly Provider[]; readonly clock: Clock },
): Upstreams {
  const all = configs.map((config) => {
    const provider = options.providers.find(({ name }) => name === config.provider)
    if (!provider) throw new TypeError(`upstream ${config.name}: there is no provider ${config.provider}`)
    return openUpstream(config, provider, options.clock)
  })
  const watches = all.flatMap((upstream, index) => {
    const everyMs = configs[index]?.healthEveryMs
    return everyMs === undefined ? [] : [watchHealth(upstream, everyMs)]
  })
  const speaking = (provider: string) => all.filter((upstream) => upstream.provider.name === provider)
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
    async close() {
      for (const end of watches) end()
      await Promise.all(all.map((upstream) => upstream.close()))
    },
  }
}
