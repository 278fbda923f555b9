import { type Read, read } from '#lib/reading.ts'
import type { Issue } from './errors.ts'
import { badInput, pathOf } from './issues.ts'
import { type Reading, refused } from './reading.ts'

/** A parsed text or JSON value, or all issues with it. */
export type Parsed<T> = Read<T> | Invalid

export interface Invalid {
  readonly kind: 'invalid'
  readonly issues: readonly Issue[]
}

export function invalid(path: string, message: string): Invalid {
  return { kind: 'invalid', issues: [{ path, message }] }
}

/** The same with the value mapped. */
export function mapped<T, U>(parsing: Parsed<T>, to: (value: T) => U): Parsed<U> {
  return parsing.kind === 'read' ? read(to(parsing.value)) : parsing
}

/** The value, or the problem for which the request is refused. */
export function toReading<T>(parsing: Parsed<T>): Reading<T> {
  return parsing.kind === 'read' ? parsing : refused(badInput(parsing.issues))
}

/** The part of a schema that is used here; zod's schemas have it. */
export interface Schema<T> {
  readonly safeParse: (
    value: unknown,
  ) => { readonly success: true; readonly data: T } | { readonly success: false; readonly error: SchemaError }
}

interface SchemaError {
  readonly issues: readonly {
    readonly code?: string | undefined
    readonly path: readonly PropertyKey[]
    readonly message: string
    /** The unknown members, where the code is `unrecognized_keys`. */
    readonly keys?: readonly string[]
  }[]
}

const unknownField = 'is not a known field'

/**
 * A value checked by a schema, or the schema's issues, in our own messages and paths.
 * @param unknownInside the message for an unknown member of a strict object within the value
 */
export function parseBy<T>(schema: Schema<T>, value: unknown, unknownInside = unknownField): Parsed<T> {
  const result = schema.safeParse(value)
  if (result.success) return read(result.data)
  return { kind: 'invalid', issues: toIssues(result.error, unknownInside) }
}

const nameLengthMax = 80

function toIssues({ issues }: SchemaError, unknownInside: string): Issue[] {
  return issues.flatMap(({ code, path, message, keys }) => {
    const place = pathOf(path)
    if (code !== 'unrecognized_keys' || !keys) return [{ path: place, message }]
    return keys.map((key) => {
      const name = key.slice(0, nameLengthMax)
      return place === ''
        ? { path: name, message: unknownField }
        : { path: `${place}.${name}`, message: unknownInside }
    })
  })
}
