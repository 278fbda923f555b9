import { createProblem, type ErrorCode } from '#core/errors.ts'
import { type Refused, refused } from '#core/reading.ts'

/** What a handler of a plain app says, before it is rendered. */
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
  /** How long the caller may be told to wait; absent: as long as a program waits by itself. */
  readonly patienceMs?: number
}

export function answered(body: object, status = 200): Answered {
  return { kind: 'answered', status, body }
}

export function refuse(code: ErrorCode, message?: string): Refused {
  return refused(createProblem(code, message))
}
