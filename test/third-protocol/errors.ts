import { errorTable, type Problem } from '#core/errors.ts'

/** `{"error": {"code": 429, "message": "…", "status": "RESOURCE_EXHAUSTED"}}`: programs look at the status. */
const statuses: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

export function renderProblem({ code, message, limit }: Problem, requestId: string): string {
  const { status } = errorTable[code]
  const details = [{ reason: code, requestId, ...(limit && { limit }) }]
  return JSON.stringify({ error: { code: status, message, status: statuses[status] ?? 'UNKNOWN', details } })
}

/** Clients raise an event that holds an error. */
export function renderStreamProblem(problem: Problem, requestId: string): string {
  return `data: ${renderProblem(problem, requestId)}\n\n`
}
