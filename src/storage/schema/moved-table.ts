/**
 * A table whose rows are copied from one database to another. The migrations made it alike in both; values are copied
 * as they are, whatever they mean.
 */
export interface MovedTable {
  readonly name: string
  readonly columns: readonly MovedColumn[]
  /** The columns of the primary key, in the order in which rows are read. */
  readonly key: readonly string[]
}

interface MovedColumn {
  readonly name: string
  readonly type: ColumnType
}

const columnTypes = ['text', 'bigint', 'double precision'] as const
type ColumnType = (typeof columnTypes)[number]

/** Throws for a type that no migration has used yet: its comparison is not defined here. */
export function columnTypeOf(declared: string): ColumnType {
  const type = columnTypes.find((one) => one === declared.toLowerCase())
  if (type === undefined) throw new TypeError(`cannot move a column of the unknown type ${declared}`)
  return type
}

/** A prime, so that a difference in any position shows; the sums of a billion rows stay within 64 bits. */
const modulus = 1_000_003

/** A table's check sums: the number of rows, and for each column the number of values and their sum. */
export type Sums = readonly number[]

/** The query for `Sums`, in SQL that gives the same result in both databases. */
export function sumsOf({ name, columns }: MovedTable): string {
  const sums = columns.flatMap(({ name: column, type }) => [
    `count(${column})`,
    `coalesce(sum(${numberOf(column, type)}), 0)`,
  ])
  return `select count(*), ${sums.join(', ')} from ${name}`
}

function numberOf(column: string, type: ColumnType): string {
  switch (type) {
    case 'text':
      return `length(${column})`
    case 'bigint':
      return `${column} % ${modulus}`
    case 'double precision':
      return `cast(floor(${column}) as bigint) % ${modulus}`
  }
}

/** The columns in which two tables differ; 'rows' where their numbers of rows differ. */
export function differencesOf({ columns }: MovedTable, one: Sums, other: Sums): readonly string[] {
  const names = ['rows', ...columns.flatMap(({ name }) => [name, name])]
  return [...new Set(names.filter((_, index) => one[index] !== other[index]))]
}
