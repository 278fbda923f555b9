/** One configured endpoint and credential, speaking one provider's protocol. */
export interface UpstreamConfig {
  readonly name: string
  /** Name of the protocol it speaks, as its provider object says. */
  readonly provider: string
  /**
   * `http` or `https`, with the path that every operation's path is put after; its query goes with every request, and
   * a user and password in it are the credential of RFC 7617.
   */
  readonly baseUrl: string
  readonly apiKey?: string
  /** Header that carries the credential, where it is another than the protocol's. */
  readonly apiKeyHeader?: string
  /** Sent with every request, whatever the client sent by these names; values may be secrets. */
  readonly headers?: Readonly<Record<string, string>>
  /** Globs over the models it serves; of one with aliases, the aliases. */
  readonly models: readonly string[]
  /** The upstream's own names by the names that they are served by here. */
  readonly aliases?: Readonly<Record<string, string>>
  /** The member that bounds the output, where it wants another than the protocol's current one. */
  readonly outputCapMember?: string
  /** Further headers that go to it from requests, and to clients from its answers; `x-*` for all that begin so. */
  readonly passRequestHeaders?: readonly string[]
  readonly passAnswerHeaders?: readonly string[]
  /** The largest bound that it takes: no larger one is written into a request. */
  readonly outputCapMax?: number
  /** It refuses members that it does not know: on other operations than chat only their own is written. */
  readonly refusesUnknown?: boolean
  /** `never`: this upstream refuses the member, so no stream is asked for its usage. */
  readonly streamOptions?: 'ask' | 'never'
  /** `http` or `https` proxy that it is reached by. */
  readonly proxy?: string
  /** Hosts that are reached without it, as `NO_PROXY` lists them. */
  readonly noProxy?: string
  /** PEM text of the authorities that its certificate may be of, in place of the usual ones. */
  readonly ca?: string
  /** Until a connection is open, its encryption included; default 10 seconds. */
  readonly connectTimeoutMs?: number
  /** From handing a request over to the answer's headers, waiting for a connection included; default 10 minutes. */
  readonly headersTimeoutMs?: number
  /** Between two pieces of an answer; default 5 minutes. */
  readonly idleTimeoutMs?: number
  /** How often it is asked for its models, so that one that has gone rests before a request finds out; absent: never. */
  readonly healthEveryMs?: number
  /** Connections at once; what is beyond waits for one. Default 4,096. */
  readonly connections?: number
}

/** Reasoning models think for minutes before they say a word; the official clients wait ten. */
export const headersTimeoutDefaultMs = 600_000
export const idleTimeoutDefaultMs = 300_000
export const connectTimeoutDefaultMs = 10_000
/** Some services and proxies answer with long policies or traces; an answer that is paid for must not be lost by them. */
export const answerHeadersBytesMax = 256 * 1024
/** A relay holds one for as long as its answer runs, so this bounds the relays of one upstream. */
export const connectionsDefault = 4096
