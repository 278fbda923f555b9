import { type Parsed, toReading } from '#core/parsed.ts'
import type { Reading } from '#core/reading.ts'
import type { AdminContext } from './context.ts'
import { parseQuery } from './target.ts'

/** Reads the query through its parser. */
export function readQuery<T>(
  c: AdminContext,
  parse: (values: ReadonlyMap<string, string>) => Parsed<T>,
): Reading<T> {
  const values = parseQuery(c.get('target').query)
  return toReading(values.kind === 'invalid' ? values : parse(values.value))
}
