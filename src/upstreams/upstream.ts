import type { Clock } from '#core/clock.ts'
import { credentialHeadersOf } from '#providers/credential-headers.ts'
import { createHide, type Hide } from '#providers/hidden.ts'
import type { Provider } from '#providers/provider.ts'
import { basicCredential, createPathBuilder } from './base-url.ts'
import {
  answerHeadersBytesMax,
  connectionsDefault,
  headersTimeoutDefaultMs,
  idleTimeoutDefaultMs,
  type UpstreamConfig,
} from './config.ts'
import { openDispatcher } from './dispatcher.ts'
import { Exchange, type Receiver } from './exchange.ts'
import {
  createHeaderList,
  type HeaderList,
  type IsNeverPassed,
  type OwnHeaders,
  withOwn,
} from './header-lists.ts'
import { createHealth, type Health, type HealthWords } from './health.ts'
import { ownWordsOf } from './own-words.ts'
import { createServedModels, type ServedModels } from './served-models.ts'

interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the base address, with its query. */
  readonly path: string
  /** Flat list of lower-case names and values, without a credential. */
  readonly headers: readonly string[]
  readonly body: Buffer | null
  /** Replaces the configured timeout, for requests that must not wait that long. */
  readonly headersTimeoutMs?: number
  /** Whose request it is; absent for the gateway's own. */
  readonly onBehalfOf?: string
}

export interface Upstream extends ServedModels {
  readonly name: string
  readonly provider: Provider
  readonly outputCapMember: string | undefined
  readonly outputCapMax: number | undefined
  readonly refusesUnknown: boolean
  /** It is the official service of its protocol. */
  readonly isOfficial: boolean
  /** Whether a stream may be asked for its usage. */
  readonly takesStreamOptions: boolean
  readonly health: Health
  /** Takes the operator's names and this upstream's own secrets out of an error. */
  readonly hide: Hide
  readonly passed: { readonly request: HeaderList; readonly answer: HeaderList }
  readonly send: (request: UpstreamRequest, receiver: Receiver) => Exchange
  /** Ends every connection at once, with whatever runs on it. */
  readonly close: () => Promise<void>
}

export interface UpstreamOptions {
  readonly clock: Clock
  readonly isNeverPassed: IsNeverPassed
  /** Hosts that an error may name. */
  readonly publicHosts: ReadonlySet<string>
  readonly words?: HealthWords
}

/** Opens one upstream; connections are made when they are needed. Throws where `baseUrl` is not a valid URL. */
export function openUpstream(
  config: UpstreamConfig,
  provider: Provider,
  { clock, isNeverPassed, publicHosts, words }: UpstreamOptions,
): Upstream {
  const base = new URL(config.baseUrl)
  const { protocol, origin, pathname, hostname } = base
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new TypeError(`${config.name}: baseUrl must be http or https`)
  const basePath = pathname.replace(/\/+$/, '')
  const withBaseQuery = createPathBuilder(base)
  const own = ownHeaders(provider, config, base)
  const health = createHealth(clock, words)
  const options = { headersTimeoutMs: config.headersTimeoutMs ?? headersTimeoutDefaultMs }
  const dispatcher = openDispatcher(origin, config, {
    connections: config.connections ?? connectionsDefault,
    // One request a connection: an answer that runs for minutes must not block others, and cutting it must not cut
    // others. HTTP/2 would share one connection again, without a gain for answers of small pieces.
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: answerHeadersBytesMax,
    headersTimeout: 0,
    bodyTimeout: config.idleTimeoutMs ?? idleTimeoutDefaultMs,
  })
  return {
    name: config.name,
    provider,
    ...createServedModels(config),
    outputCapMember: config.outputCapMember,
    outputCapMax: config.outputCapMax,
    refusesUnknown: config.refusesUnknown === true,
    isOfficial: provider.isOfficialHost(hostname),
    takesStreamOptions: config.streamOptions !== 'never',
    health,
    hide: createHide(ownWordsOf(config, publicHosts)),
    passed: {
      request: createHeaderList(
        [...provider.requestHeaders, ...(config.passRequestHeaders ?? [])],
        isNeverPassed,
      ),
      answer: createHeaderList(
        [...provider.answerHeaders, ...(config.passAnswerHeaders ?? [])],
        isNeverPassed,
      ),
    },
    send(request, receiver) {
      const { headersTimeoutMs = options.headersTimeoutMs, onBehalfOf } = request
      const exchange = new Exchange(receiver, { health, now: clock, headersTimeoutMs, onBehalfOf })
      const { method, body } = request
      const headers = withOwn(request.headers, own)
      dispatcher.dispatch(
        { origin, path: withBaseQuery(basePath + request.path), method, headers, body },
        exchange,
      )
      return exchange
    },
    close: () => dispatcher.destroy(),
  }
}

function ownHeaders(provider: Provider, config: UpstreamConfig, base: URL): OwnHeaders {
  const { name, apiKey, apiKeyHeader, headers = {} } = config
  const flat = (some: Readonly<Record<string, string>>) =>
    Object.entries(some).flatMap(([name, value]) => [name.toLowerCase(), value])
  const credential = apiKey === undefined ? {} : credentialHeadersOf(provider, apiKey, apiKeyHeader)
  const basic = basicCredential(base)
  if (basic !== undefined && 'authorization' in credential)
    throw new TypeError(
      `${name}: apiKey and the user in baseUrl both use the authorization header: leave one out`,
    )
  // The operator's headers override the protocol's.
  const said = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const own = { ...credential, ...(basic !== undefined && { authorization: basic }), ...said }
  return { credential: flat(own), defaults: flat(provider.defaultHeaders) }
}
