import type { Issue } from '#core/errors.ts'
import type { Parsed } from '#core/parsed.ts'
import { read } from '#lib/reading.ts'
import { parseAskedTime } from '#metering/usage-range.ts'

/** The instants `from` and `to` of a query on records, as far as they are given. */
export interface AskedRange {
  readonly from?: number
  readonly to?: number
}

/** Reads them beside the other fields of the query; the issues of both are told together. */
export function withAskedRange<Fields>(
  fields: Parsed<Fields>,
  values: ReadonlyMap<string, string>,
  timeZone: string,
): Parsed<{ readonly fields: Fields; readonly range: AskedRange }> {
  const issues: Issue[] = fields.kind === 'invalid' ? [...fields.issues] : []
  const range: { from?: number; to?: number } = {}
  for (const name of ['from', 'to'] as const) {
    const text = values.get(name)
    if (text === undefined) continue
    const time = parseAskedTime(name, text, timeZone)
    if (time.kind === 'invalid') issues.push(...time.issues)
    else range[name] = time.value
  }
  if (fields.kind === 'invalid' || issues.length > 0) return { kind: 'invalid', issues }
  return read({ fields: fields.value, range })
}

export function isEmptyRange({ from, to }: AskedRange): boolean {
  return from !== undefined && to !== undefined && from >= to
}
