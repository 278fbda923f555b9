import { type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici'
import { connectTimeoutDefaultMs } from './config.ts'
import { createConnector, noting } from './connector.ts'

/**
 * How an upstream is reached: certificate authorities of its own, a proxy, and the hosts that are reached without the
 * proxy.
 */
export interface Reach {
  /** PEM text of certificates that are trusted in place of the usual ones. */
  readonly ca?: string
  /** `http` or `https`, with user and password where it needs them. */
  readonly proxy?: string
  /** Hosts that are reached without it, as `NO_PROXY` lists them. */
  readonly noProxy?: string
  /** Until a connection is open; default 10 seconds. */
  readonly connectTimeoutMs?: number
}

/** Connections to one upstream. A proxy forwards plain HTTP, and opens a tunnel for HTTPS. */
export function openDispatcher(origin: string, reach: Reach, options: Pool.Options): Dispatcher {
  const { ca, proxy, noProxy = '', connectTimeoutMs: timeout = connectTimeoutDefaultMs } = reach
  const tls = { allowH2: false, timeout, ...(ca !== undefined && { ca }) }
  const connect = createConnector(tls)
  if (proxy === undefined) return new Pool(origin, { ...options, connect })
  return new EnvHttpProxyAgent({
    ...options,
    connect,
    requestTls: tls,
    proxyTls: { allowH2: false, timeout },
    // The agent connects through the proxy; how connections are used is configured here.
    factory: (to, { connect: through }: Pool.Options) =>
      new Pool(to, { ...options, connect: typeof through === 'function' ? noting(through) : connect }),
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy,
  })
}
