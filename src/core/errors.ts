import type { CountName } from './limits.ts'

/**
 * The table of all errors: code, HTTP status, whose fault it is. The three envelopes (admin, and one per provider) are
 * rendered from it, and so is the reference in the docs. `message` is used where the code that refuses has no more
 * precise one.
 */
type Fault = 'client' | 'quota' | 'upstream' | 'operator' | 'bug'

/**
 * Whether asking again may help. `soon`: in a second. `told`: from the problem's `retryAt` on, and without one never.
 * `unknown`: it may, but it is not known when, so the client's own pauses apply.
 */
type Again = 'soon' | 'told' | 'unknown'

export interface ErrorRow {
  readonly status: number
  readonly fault: Fault
  readonly message: string
  /** Absent: never. The request, the user or a setting has to change first. */
  readonly again?: Again
}

export const errorTable = {
  bad_request: { status: 400, fault: 'client', message: 'The request is not valid.' },
  bad_json: { status: 400, fault: 'client', message: 'The body is not valid JSON.' },
  missing_credential: { status: 401, fault: 'client', message: 'No credential was sent.' },
  unknown_access_token: { status: 401, fault: 'client', message: 'This access token is not known.' },
  unknown_admin_key: { status: 401, fault: 'client', message: 'This admin key is not known.' },
  code_needed: { status: 401, fault: 'client', message: 'A code of the second factor is needed.' },
  wrong_code: { status: 401, fault: 'client', message: 'This code is wrong, or was used before.' },
  session_ended: { status: 401, fault: 'client', message: 'This session has ended. Log in again.' },
  claim_ended: {
    status: 404,
    fault: 'client',
    message:
      'This link does not open. It was used, has expired, was replaced by a newer one, or was not copied whole. ' +
      'Ask the administrator who sent it for a new one.',
  },
  forbidden: { status: 403, fault: 'client', message: 'This credential may not do that.' },
  user_disabled: { status: 403, fault: 'client', message: 'This access token is disabled.' },
  user_expired: { status: 403, fault: 'client', message: 'This access token has expired.' },
  address_not_allowed: { status: 403, fault: 'client', message: 'This address is not allowed.' },
  address_limit: { status: 403, fault: 'client', message: 'IP address limit exceeded' },
  person_unnamed: {
    status: 403,
    fault: 'client',
    message: 'The front end that sent this request does not say which person it is for.',
  },
  not_found: { status: 404, fault: 'client', message: 'Not found' },
  model_not_served: { status: 404, fault: 'client', message: 'That model is not served here.' },
  model_not_allowed: { status: 404, fault: 'client', message: 'This access token may not use that model.' },
  method_not_allowed: { status: 405, fault: 'client', message: 'That method is not allowed here.' },
  conflict: { status: 409, fault: 'client', message: 'The request conflicts with the current state.' },
  precondition_failed: {
    status: 412,
    fault: 'client',
    message: 'The user was changed since you read it (If-Match).',
  },
  body_too_large: { status: 413, fault: 'client', message: 'The body is too large.' },
  unsupported_media_type: { status: 415, fault: 'client', message: 'Send application/json.' },
  host_not_served: { status: 421, fault: 'client', message: 'This host is not served here.' },
  websocket_not_served: {
    status: 426,
    fault: 'client',
    message: 'WebSocket is not served here: send the request by HTTP.',
  },
  rate_limited: {
    status: 429,
    fault: 'quota',
    message: 'Too many requests per minute.',
    again: 'told',
  },
  concurrency_limited: {
    status: 429,
    fault: 'quota',
    message: 'Too many requests at once.',
    again: 'told',
  },
  quota_exceeded: { status: 429, fault: 'quota', message: 'The quota is used up.', again: 'told' },
  throttled: {
    status: 429,
    fault: 'client',
    message: 'Too many wrong credentials from this address.',
    again: 'told',
  },
  internal: {
    status: 500,
    fault: 'bug',
    message: 'Something went wrong here. The log has the cause under the request id.',
    again: 'unknown',
  },
  upstream_failed: {
    status: 502,
    fault: 'upstream',
    message: 'The upstream could not be reached or broke off.',
    again: 'unknown',
  },
  upstream_refused: {
    status: 503,
    fault: 'operator',
    message: "The upstream does not serve this gateway's account at present. Tell the gateway's operator.",
    again: 'told',
  },
  store_unavailable: {
    status: 503,
    fault: 'operator',
    message: 'The store cannot be reached. Try again shortly.',
    again: 'soon',
  },
  overloaded: {
    status: 503,
    fault: 'operator',
    message: 'Too many large bodies are being read at once. Try again shortly.',
    again: 'soon',
  },
  shutting_down: {
    status: 503,
    fault: 'operator',
    message: 'This instance is stopping. Try again.',
    again: 'soon',
  },
  upstream_timeout: {
    status: 504,
    fault: 'upstream',
    message: 'The upstream did not answer in time.',
    again: 'unknown',
  },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** One thing that is wrong with an input, at a path such as `users[3].tokenLimits.claude`. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** Of a person who asks through a front end. */
export type LimitOwner = 'person' | 'front_end'

/** The limit that refused a request and its state, so that a client can say what would have to change. */
export interface LimitFacts {
  readonly name: 'quota' | CountName
  /** Whose limit it is, where a person asks through a front end; of the front end's no figure is told. */
  readonly of?: LimitOwner
  readonly limit?: number
  /** How much counts towards it now: units, requests or addresses. */
  readonly used?: number
  /** Of a quota: its family, the units that running requests hold, the units that this request would need. */
  readonly family?: string
  readonly reserved?: number
  readonly needed?: number
  /** How much of that is the output that it asks for; absent where it asks for none. */
  readonly neededOutput?: number
  /**
   * When it counts from zero again, epoch milliseconds; absent where it never does, and where waiting for it would not
   * help.
   */
  readonly resetAt?: number
}

/** A refusal or failure as a value. It never holds a secret or a cause: causes are logged. */
export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  /** When trying again may help, epoch milliseconds; absent where waiting does not help or the time is not known. */
  readonly retryAt?: number
  /** Waiting does not help this time, although it may help for this code. */
  readonly isLasting?: boolean
  readonly issues?: readonly Issue[]
  readonly limit?: LimitFacts
}

/** Makes a problem of a code, with its own message or the table's. */
export function createProblem(
  code: ErrorCode,
  message?: string,
  more?: {
    readonly retryAt?: number | undefined
    readonly isLasting?: boolean
    readonly issues?: readonly Issue[]
    readonly limit?: LimitFacts | undefined
  },
): Problem {
  const problem: Problem = { code, message: message ?? errorTable[code].message }
  return {
    ...problem,
    ...(more?.retryAt !== undefined && { retryAt: more.retryAt }),
    ...(more?.isLasting && { isLasting: true }),
    ...(more?.issues !== undefined && { issues: more.issues }),
    ...(more?.limit !== undefined && { limit: more.limit }),
  }
}

/**
 * The same answer for an unknown model and for a known one without an upstream: only the operator is told the
 * difference.
 */
export function createNotServed(model: string): Problem {
  return createProblem('model_not_served', `The model ${model} is not served here.`)
}

const storeRetryMs = 1000

/** The store cannot be asked now; it usually can be again in a moment. `now` in epoch milliseconds. */
export function createStoreUnavailable(now: number): Problem {
  return createProblem('store_unavailable', undefined, { retryAt: now + storeRetryMs })
}

/**
 * Too many wrong credentials came from the address. The message says how long to wait, since no client waits for
 * minutes by itself.
 */
export function createThrottled(waitMs: number, now: number): Problem {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  const message = `${errorTable.throttled.message.slice(0, -1)}: wait ${seconds} s.`
  return createProblem('throttled', message, { retryAt: now + waitMs })
}
