import { createProblem, type ErrorCode } from '#core/errors.ts'
import { type Refused, refused } from '#core/reading.ts'

/** The answer of a handler of a plain app as a value, before it is rendered. */
export type Answer = Answered | Refusal

export interface Answered {
  readonly kind: 'answered'
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; without one the body is `text`, or empty. */
  readonly body?: object
  /** Sent as it is; its type stands in `headers`. */
  readonly text?: string
}

export interface Refusal extends Refused {
  /** Replaces the status of the table of errors. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The longest `retry-after` that the caller gets; absent: as long as a program should wait by itself. */
  readonly patienceMs?: number
}

export function answered(body: object, status = 200): Answered {
  return { kind: 'answered', status, body }
}

export function refuse(code: ErrorCode, message?: string): Refused {
  return refused(createProblem(code, message))
}

export function refuseMethod(methods: readonly string[]) {
  const allow = methods.join(', ')
  return { ...refuse('method_not_allowed', `Use ${allow} here.`), headers: { allow } }
}
