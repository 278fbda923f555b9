import { isLoopbackName } from '#core/network.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { type Environment, secretOf, textOf } from './environment.ts'
import { ConfigError } from './settings.ts'

/**
 * The proxies of the environment, as other programs read them: `HTTPS_PROXY` for `https` addresses, `HTTP_PROXY` for
 * `http`, `NO_PROXY` for hosts that are reached without a proxy; lower case overrides upper case. Addresses of this
 * machine are reached without a proxy.
 */
export function proxiesOf(env: Environment): (upstream: UpstreamConfig) => UpstreamConfig {
  const byProtocol: Readonly<Record<string, string | undefined>> = {
    'https:': proxyOf(env, 'HTTPS_PROXY'),
    'http:': proxyOf(env, 'HTTP_PROXY'),
  }
  const noProxy = noProxyOf(env)
  return (upstream) => {
    const { proxy: own, ...rest } = upstream
    if (own !== undefined) return own === 'none' ? rest : upstream
    const { protocol, hostname } = new URL(upstream.baseUrl)
    const proxy = byProtocol[protocol]
    if (proxy === undefined || isLoopbackName(hostname)) return upstream
    return { ...upstream, proxy, ...(noProxy !== undefined && { noProxy }) }
  }
}

export function noProxyOf(env: Environment): string | undefined {
  return textOf(env, 'no_proxy') ?? textOf(env, 'NO_PROXY')
}

function proxyOf(env: Environment, name: string): string | undefined {
  const value = textOf(env, name.toLowerCase()) ?? secretOf(env, name)
  if (value === undefined) return undefined
  // Often written without a scheme.
  const url = value.includes('://') ? value : `http://${value}`
  // The value may hold a password, so the message does not repeat it.
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new ConfigError(name, 'must be a URL that begins with http:// or https://')
  return url
}
