/**
 * The known settings of a service or local server: its address, the members that it obeys, and the environment variables
 * that add it without a file.
 */
export interface Preset {
  readonly name: string
  /** Name of the protocol. */
  readonly provider: string
  /** Absent if each account has its own address. */
  readonly baseUrl?: string
  /** `…_API_KEY` and `…_BASE_URL` add an upstream. */
  readonly variable: string
  /** The server runs on a machine of the operator's: it needs no key, and its address alone adds it. */
  readonly isLocal?: true
  /** For a local server: the hosted service of its maker, which a key alone adds. */
  readonly hostedUrl?: string
  /** The maker's models, to choose the service if the environment names several. */
  readonly models: readonly string[]
  readonly settings: {
    readonly apiKeyHeader?: string
    readonly outputCapMember?: string
    readonly outputCapMax?: number
    readonly refusesUnknown?: boolean
    readonly streamOptions?: 'ask' | 'never'
    readonly headersTimeoutMs?: number
    readonly idleTimeoutMs?: number
  }
}
