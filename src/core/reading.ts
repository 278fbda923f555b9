import type { Read } from '#lib/reading.ts'
import type { Problem } from './errors.ts'

/** The result of reading a part of a request: a value, or the problem for which the request is refused. */
export type Reading<T> = Read<T> | Refused

export interface Refused {
  readonly kind: 'refused'
  readonly problem: Problem
}

export function refused(problem: Problem): Refused {
  return { kind: 'refused', problem }
}
