/**
 * The one table of what can go wrong for a caller: code, HTTP status, whose fault it is. The three envelopes
 * (admin, and one per provider) are rendered from it; the reference in the docs is made from it. `message` is
 * what is said when the place that refuses has nothing more precise to say.
 */
type Fault = 'client' | 'quota' | 'upstream' | 'operator' | 'bug'

interface ErrorRow {
  readonly status: number
  readonly fault: Fault
  readonly message: string
}

export const errorTable = {
  bad_request: { status: 400, fault: 'client', message: 'The request is not valid.' },
  bad_json: { status: 400, fault: 'client', message: 'The body is not valid JSON.' },
  missing_credential: { status: 401, fault: 'client', message: 'No credential was sent.' },
  unknown_access_token: { status: 401, fault: 'client', message: 'This access token is not known.' },
  unknown_admin_key: { status: 401, fault: 'client', message: 'This admin key is not known.' },
  forbidden: { status: 403, fault: 'client', message: 'This credential may not do that.' },
  user_disabled: { status: 403, fault: 'client', message: 'This access token is disabled.' },
  user_expired: { status: 403, fault: 'client', message: 'This access token has expired.' },
  address_not_allowed: { status: 403, fault: 'client', message: 'This address is not allowed.' },
  address_limit: { status: 403, fault: 'client', message: 'IP address limit exceeded' },
  model_not_allowed: { status: 403, fault: 'client', message: 'This access token may not use that model.' },
  not_found: { status: 404, fault: 'client', message: 'Not found' },
  model_not_served: { status: 404, fault: 'client', message: 'That model is not served here.' },
  method_not_allowed: { status: 405, fault: 'client', message: 'That method is not allowed here.' },
  conflict: { status: 409, fault: 'client', message: 'That conflicts with what is there.' },
  precondition_failed: { status: 412, fault: 'client', message: 'It was changed since you read it.' },
  body_too_large: { status: 413, fault: 'client', message: 'The body is too large.' },
  unsupported_media_type: { status: 415, fault: 'client', message: 'Send application/json.' },
  host_not_served: { status: 421, fault: 'client', message: 'This host is not served here.' },
  rate_limited: { status: 429, fault: 'quota', message: 'Too many requests per minute.' },
  concurrency_limited: { status: 429, fault: 'quota', message: 'Too many requests at once.' },
  quota_exceeded: { status: 429, fault: 'quota', message: 'The quota is used up.' },
  throttled: { status: 429, fault: 'client', message: 'Too many wrong credentials from this address.' },
  internal: {
    status: 500,
    fault: 'bug',
    message: 'Something went wrong here. The request id names it in the log.',
  },
  upstream_failed: {
    status: 502,
    fault: 'upstream',
    message: 'The upstream could not be reached or broke off.',
  },
  no_upstream: { status: 503, fault: 'operator', message: 'No upstream is configured for that model.' },
  upstream_refused: {
    status: 503,
    fault: 'operator',
    message: "The upstream does not serve this gateway's account at present. Tell its operator.",
  },
  store_unavailable: {
    status: 503,
    fault: 'operator',
    message: 'The store cannot be reached. Try again shortly.',
  },
  overloaded: {
    status: 503,
    fault: 'operator',
    message: 'Too many large bodies are being read at once. Try again shortly.',
  },
  shutting_down: { status: 503, fault: 'operator', message: 'This instance is stopping. Try again.' },
  upstream_timeout: { status: 504, fault: 'upstream', message: 'The upstream did not answer in time.' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** One thing that is wrong with an input, at a path such as `users[3].tokenLimits.claude`. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** Which limit refused a request and how it stands, for whoever wants to know what would have to change. */
export interface LimitFacts {
  readonly name: 'quota' | 'requestsPerMinute' | 'concurrentRequests' | 'maxIps'
  readonly limit: number
  /** What counts towards it now: units, requests or addresses. */
  readonly used: number
  /** A quota's: whose it is, what running requests hold, what this request would need. */
  readonly family?: string
  readonly reserved?: number
  readonly needed?: number
  /** How much of that is the output that it asks for; absent where it asks for none. */
  readonly neededOutput?: number
  /** When it counts from zero again, epoch milliseconds; absent where it never does, and where that would not help. */
  readonly resetAt?: number
}

/** A refusal or failure as a value, on its way to a caller. Never holds a secret, nor a cause: causes are logged. */
export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  /** When trying again may help, epoch milliseconds; absent when waiting does not help. */
  readonly retryAt?: number
  readonly issues?: readonly Issue[]
  readonly limit?: LimitFacts
}

/** Makes a problem of a code, with its own message or the table's. */
export function createProblem(
  code: ErrorCode,
  message?: string,
  more?: {
    readonly retryAt?: number | undefined
    readonly issues?: readonly Issue[]
    readonly limit?: LimitFacts | undefined
  },
): Problem {
  const problem: Problem = { code, message: message ?? errorTable[code].message }
  return {
    ...problem,
    ...(more?.retryAt !== undefined && { retryAt: more.retryAt }),
    ...(more?.issues !== undefined && { issues: more.issues }),
    ...(more?.limit !== undefined && { limit: more.limit }),
  }
}

/** When trying again may help, also for what passes within seconds though no instant is known for it. */
export function retryAtOf({ code, retryAt }: Problem, now: number): number | undefined {
  if (retryAt !== undefined) return retryAt
  switch (code) {
    case 'store_unavailable':
    case 'overloaded':
    case 'shutting_down':
      return now + 1000
    default:
      return undefined
  }
}

/** `Retry-After` in whole seconds, at least 1, for a `retryAt`. */
export function retryAfterSeconds(retryAt: number, now: number): number {
  return Math.max(1, Math.ceil((retryAt - now) / 1000))
}
