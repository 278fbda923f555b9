import type { ErrorCode, Problem } from '#core/errors.ts'

/**
 * This protocol's error object. Its official clients choose the exception by the status. Programs look at `code`
 * (`insufficient_quota` and `rate_limit_exceeded` above all), so these are the provider's codes where one fits, else
 * Tollgate's own.
 */
interface Wording {
  readonly type: string
  readonly code: string | null
}

const invalid = (code: string | null): Wording => ({ type: 'invalid_request_error', code })
const denied = (code: string): Wording => ({ type: 'permission_error', code })
const limited = (code: string): Wording => ({ type: 'rate_limit_error', code })
const failed = (code: string): Wording => ({ type: 'server_error', code })

const wordings: Readonly<Record<ErrorCode, Wording>> = {
  bad_request: invalid(null),
  bad_json: invalid(null),
  missing_credential: { type: 'authentication_error', code: 'missing_api_key' },
  unknown_access_token: { type: 'authentication_error', code: 'invalid_api_key' },
  unknown_admin_key: { type: 'authentication_error', code: 'invalid_api_key' },
  code_needed: { type: 'authentication_error', code: 'code_needed' },
  wrong_code: { type: 'authentication_error', code: 'wrong_code' },
  session_ended: { type: 'authentication_error', code: 'session_ended' },
  claim_ended: invalid('claim_ended'),
  forbidden: denied('forbidden'),
  user_disabled: denied('user_disabled'),
  user_expired: denied('user_expired'),
  address_not_allowed: denied('address_not_allowed'),
  address_limit: denied('address_limit'),
  person_unnamed: denied('person_unnamed'),
  not_found: invalid('not_found'),
  model_not_served: invalid('model_not_found'),
  // As at the provider, a model that the user may not use is reported as not found: clients then try another one.
  model_not_allowed: invalid('model_not_found'),
  method_not_allowed: invalid('method_not_allowed'),
  conflict: invalid('conflict'),
  precondition_failed: invalid('precondition_failed'),
  body_too_large: invalid('request_too_large'),
  unsupported_media_type: invalid('unsupported_media_type'),
  host_not_served: invalid('host_not_served'),
  websocket_not_served: invalid('websocket_not_served'),
  rate_limited: limited('rate_limit_exceeded'),
  concurrency_limited: limited('concurrency_limit_exceeded'),
  quota_exceeded: { type: 'insufficient_quota', code: 'insufficient_quota' },
  throttled: limited('too_many_failures'),
  internal: failed('internal_error'),
  upstream_failed: failed('upstream_failed'),
  upstream_refused: failed('upstream_refused'),
  store_unavailable: failed('store_unavailable'),
  overloaded: failed('overloaded'),
  shutting_down: failed('shutting_down'),
  upstream_timeout: failed('upstream_timeout'),
}

/** `limit` is a member of Tollgate's own. It is inside `error`, which the official clients hand to a program. */
export function errorOf({ code: ours, message, issues, limit }: Problem) {
  const { type, code } = wordings[ours]
  const param = issues?.[0]?.path ?? null
  return { message, type, param, code, ...(limit && { limit }) }
}

/** The request id is in the header only, as at the provider. */
export function renderProblem(problem: Problem): string {
  return JSON.stringify({ error: errorOf(problem) })
}

/**
 * The official clients raise an error for an event whose data has an `error`. No event may follow it, not even `[DONE]`.
 */
export function renderStreamProblem(problem: Problem): string {
  return `data: ${renderProblem(problem)}\n\n`
}
