import { type RawBuilder, sql } from 'kysely'

/** A list of rows for `values`. */
export function tuples(rows: readonly (readonly (string | number)[])[]): RawBuilder<unknown> {
  // Some databases cannot infer the types of a list of values.
  const typed = (value: string | number) =>
    typeof value === 'number' ? sql`cast(${value} as bigint)` : sql`cast(${value} as text)`
  return sql.join(rows.map((row) => sql`(${sql.join(row.map(typed))})`))
}
