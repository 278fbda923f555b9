import { againHeaders } from '#core/asking-again.ts'
import { errorTable, type Problem } from '#core/errors.ts'

/** An error in the control plane's shape: status, headers and body. */
export interface ProblemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const problemType = 'application/problem+json'

/** The client that gets the answer. */
interface Caller {
  /** Its `Accept` header. */
  readonly accept?: string | undefined
  /** The longest `retry-after` that it gets: any time for a program of the operator's, a minute for an LLM client. */
  readonly patienceMs?: number
}

/**
 * The admin envelope: the contract's `{"error": "<string>"}`, with `code`, `issues`, `limit` and `requestId` beside it, and
 * RFC 9457's members as well for a client that asks for them. `now` in epoch milliseconds.
 */
export function renderProblem(
  problem: Problem,
  requestId: string,
  now: number,
  { accept, patienceMs }: Caller = {},
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
  const headers = {
    ...problemHeaders(problem, requestId, now, patienceMs),
    'cache-control': 'no-store',
    ...(wantsProblem && { 'content-type': problemType }),
  }
  return { status, headers, body: JSON.stringify(body) }
}

/** The headers of a refusal on every plane. @param patienceMs as `againHeaders` takes it */
export function problemHeaders(
  problem: Problem,
  requestId: string,
  now: number,
  patienceMs?: number,
): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    'x-request-id': requestId,
    ...againHeaders(problem, now, patienceMs),
    ...(errorTable[problem.code].status === 401 && { 'www-authenticate': 'Bearer realm="tollgate"' }),
  }
}

/** Whether an `Accept` header names the problem format itself; wildcards do not, since the contract's clients send them. */
function acceptsProblem(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === problemType && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
