import { createProblem, type ErrorCode, type Issue } from '#core/errors.ts'
import { issuesMax } from '#core/issues.ts'
import { type Refused, refused } from '#core/reading.ts'

/** What a handler says, before anybody renders it. */
export type Answer = Answered | Refusal

export interface Answered {
  readonly kind: 'answered'
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; without one the body is empty. */
  readonly body?: object
}

export interface Refusal extends Refused {
  /** Instead of the status that the table of errors has for it. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The asking gateway itself was refused, not the user it asks for. */
  readonly isOfGateway?: boolean
}

export function answered(body: object, status = 200): Answered {
  return { kind: 'answered', status, body }
}

export function refuse(code: ErrorCode, message?: string): Refusal {
  return refused(createProblem(code, message))
}

export function refuseInput(issues: readonly Issue[]): Refusal {
  const [first] = issues
  const message = first ? `${first.path} ${first.message}`.trim() : undefined
  return refused(createProblem('bad_request', message, { issues: issues.slice(0, issuesMax) }))
}
