import type { ErrorCode, Problem } from '#core/errors.ts'

/** The provider's own types; its official clients choose the exception by the status, programs by the type. */
const types: Readonly<Record<ErrorCode, string>> = {
  bad_request: 'invalid_request_error',
  bad_json: 'invalid_request_error',
  missing_credential: 'authentication_error',
  unknown_access_token: 'authentication_error',
  unknown_admin_key: 'authentication_error',
  code_needed: 'authentication_error',
  wrong_code: 'authentication_error',
  session_ended: 'authentication_error',
  claim_ended: 'not_found_error',
  forbidden: 'permission_error',
  user_disabled: 'permission_error',
  user_expired: 'permission_error',
  address_not_allowed: 'permission_error',
  address_limit: 'permission_error',
  person_unnamed: 'permission_error',
  not_found: 'not_found_error',
  model_not_served: 'not_found_error',
  // As at the provider: a model that the user may not use is reported as not found.
  model_not_allowed: 'not_found_error',
  method_not_allowed: 'invalid_request_error',
  conflict: 'conflict_error',
  precondition_failed: 'invalid_request_error',
  body_too_large: 'request_too_large',
  unsupported_media_type: 'invalid_request_error',
  host_not_served: 'invalid_request_error',
  websocket_not_served: 'invalid_request_error',
  rate_limited: 'rate_limit_error',
  concurrency_limited: 'rate_limit_error',
  quota_exceeded: 'rate_limit_error',
  throttled: 'rate_limit_error',
  internal: 'api_error',
  upstream_failed: 'api_error',
  upstream_refused: 'api_error',
  store_unavailable: 'overloaded_error',
  overloaded: 'overloaded_error',
  shutting_down: 'overloaded_error',
  upstream_timeout: 'timeout_error',
}

/** `limit` is a member of Tollgate's own, beside the provider's. */
export function renderProblem({ code, message, limit }: Problem, requestId: string): string {
  const error = { type: types[code], message, ...(limit && { limit }) }
  return JSON.stringify({ type: 'error', error, request_id: requestId })
}

/** The official clients raise an event of this name. */
export function renderStreamProblem(problem: Problem, requestId: string): string {
  return `event: error\ndata: ${renderProblem(problem, requestId)}\n\n`
}
