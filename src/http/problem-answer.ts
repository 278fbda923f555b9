import { errorTable, type Problem, retryAfterSeconds, retryAtOf } from '#core/errors.ts'

/** An error as the control plane's callers get it, ready to be sent by whatever sends. */
export interface ProblemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const problemType = 'application/problem+json'

/**
 * The admin envelope: the contract's `{"error": "<string>"}`, with `code`, `issues`, `limit` and `requestId` beside it, and
 * RFC 9457's members as well for a client that asks for them. `now` in epoch milliseconds.
 */
export function renderProblem(
  problem: Problem,
  requestId: string,
  now: number,
  accept?: string,
): ProblemAnswer {
  const { status, message: title } = errorTable[problem.code]
  const wantsProblem = acceptsProblem(accept)
  const body = {
    error: problem.message,
    code: problem.code,
    ...(problem.issues && { issues: problem.issues }),
    ...(problem.limit && { limit: problem.limit }),
    requestId,
    ...(wantsProblem && {
      type: `urn:tollgate:error:${problem.code}`,
      title,
      status,
      detail: problem.message,
    }),
  }
  const retryAt = retryAtOf(problem, now)
  const headers = {
    'content-type': wantsProblem ? problemType : 'application/json',
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...(retryAt !== undefined && { 'retry-after': String(retryAfterSeconds(retryAt, now)) }),
    ...(status === 401 && { 'www-authenticate': 'Bearer realm="tollgate"' }),
  }
  return { status, headers, body: JSON.stringify(body) }
}

/** Whether an `Accept` header names the problem format itself; wildcards do not, since the contract's clients send them. */
function acceptsProblem(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === problemType && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
