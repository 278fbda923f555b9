import { isLoopbackName } from '#core/network.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'

/** A sentence for each upstream that is asked without TLS at another host, for the log of a start. */
export function plainUpstreams(
  upstreams: readonly Pick<UpstreamConfig, 'name' | 'baseUrl'>[],
): readonly string[] {
  return upstreams.flatMap(({ name, baseUrl }) => {
    const { protocol, hostname, host } = new URL(baseUrl)
    if (protocol === 'https:' || isLoopbackName(hostname)) return []
    return [
      `the upstream ${name} is asked without TLS at ${host}: its key, and all prompts and answers, can be read on ` +
        'the way. Use https://, or a network that only your machines are in',
    ]
  })
}
