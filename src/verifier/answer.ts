import { createProblem, type ErrorCode, type Issue, type Problem } from '#core/errors.ts'

/** What a handler says, before anybody renders it. */
export type Answer = Answered | Refusal

export interface Answered {
  readonly kind: 'answered'
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; without one the body is empty. */
  readonly body?: object
}

export interface Refusal {
  readonly kind: 'refused'
  readonly problem: Problem
  /** Instead of the status that the table of errors has for it. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The asking gateway itself was refused, not the user it asks for. */
  readonly isOfGateway?: boolean
}

export function answered(body: object, status = 200): Answered {
  return { kind: 'answered', status, body }
}

export function refused(problem: Problem): Refusal {
  return { kind: 'refused', problem }
}

export function refuse(code: ErrorCode, message?: string): Refusal {
  return refused(createProblem(code, message))
}

/** How many wrong things are named at once; a batch of a thousand may be wrong in each. */
export const issuesMax = 100

export function refuseInput(issues: readonly Issue[]): Refusal {
  const [first] = issues
  const message = first ? `${first.path} ${first.message}`.trim() : undefined
  return refused(createProblem('bad_request', message, { issues: issues.slice(0, issuesMax) }))
}
