/** One configured endpoint and credential, speaking one provider's protocol. */
export interface UpstreamConfig {
  readonly name: string
  /** Name of the protocol it speaks, as its provider object says. */
  readonly provider: string
  /**
   * `http` or `https`, with the path to which every operation's path is appended. Its query goes with every request,
   * and a user and password in it are the credential of RFC 7617.
   */
  readonly baseUrl: string
  readonly apiKey?: string
  /** Header that carries the credential, where it differs from the protocol's. */
  readonly apiKeyHeader?: string
  /** Sent with every request, in place of the client's headers of these names; values may be secrets. */
  readonly headers?: Readonly<Record<string, string>>
  /** Globs over the models it serves; of one with aliases, the aliases. */
  readonly models: readonly string[]
  /** The upstream's own names by the names that they are served by here. */
  readonly aliases?: Readonly<Record<string, string>>
  /** The member that bounds the output, where it differs from the protocol's current one. */
  readonly outputCapMember?: string
  /** Further headers that are passed on, of requests and of answers; `x-*` stands for a prefix. */
  readonly passRequestHeaders?: readonly string[]
  readonly passAnswerHeaders?: readonly string[]
  /** The largest bound that it accepts: no larger one is written into a request. */
  readonly outputCapMax?: number
  /** It refuses unknown members: on operations other than chat only their own member is written. */
  readonly refusesUnknown?: boolean
  /** `never`: this upstream refuses `stream_options`, so its streams are not asked for usage. */
  readonly streamOptions?: 'ask' | 'never'
  /** `http` or `https` proxy to the upstream. */
  readonly proxy?: string
  /** Hosts that are reached without it, as `NO_PROXY` lists them. */
  readonly noProxy?: string
  /** PEM text of the authorities that may have issued its certificate, in place of the usual ones. */
  readonly ca?: string
  /** Until a connection is open, its encryption included; default 10 seconds. */
  readonly connectTimeoutMs?: number
  /** From sending a request to the answer's headers, the wait for a connection included; default 10 minutes. */
  readonly headersTimeoutMs?: number
  /** Between two pieces of an answer; default 5 minutes. */
  readonly idleTimeoutMs?: number
  /**
   * How often it is asked for its models, so that an upstream that is down rests before a request fails; absent: never.
   */
  readonly healthEveryMs?: number
  /** Connections at once; further requests wait for one. Default 4,096. */
  readonly connections?: number
}

/** Reasoning models think for minutes before their first output; the official clients wait ten minutes. */
export const headersTimeoutDefaultMs = 600_000
export const idleTimeoutDefaultMs = 300_000
export const connectTimeoutDefaultMs = 10_000
/**
 * Some services and proxies send long policy or trace headers; an answer that is paid for must not be lost because of
 * them.
 */
export const answerHeadersBytesMax = 256 * 1024
/** A relay holds one for as long as its answer runs, so this bounds the relays of one upstream. */
export const connectionsDefault = 4096
