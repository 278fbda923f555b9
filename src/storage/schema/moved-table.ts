/**
 * A table whose rows are taken from one database to another, as the migrations made it in both: what is in its
 * columns is copied as it is, whatever it means.
 */
export interface MovedTable {
  readonly name: string
  readonly columns: readonly MovedColumn[]
  /** Columns that name a row, in the order in which rows are read. */
  readonly key: readonly string[]
}

interface MovedColumn {
  readonly name: string
  readonly type: ColumnType
}

const columnTypes = ['text', 'bigint', 'double precision'] as const
type ColumnType = (typeof columnTypes)[number]

/** Throws for a type that no migration has used yet: nobody knows then how it is to be compared. */
export function columnTypeOf(declared: string): ColumnType {
  const type = columnTypes.find((one) => one === declared.toLowerCase())
  if (type === undefined) throw new TypeError(`nobody knows how to move a column of the type ${declared}`)
  return type
}

/** A prime, so that a difference in any place shows, and no sum of a billion rows leaves 64 bits. */
const modulus = 1_000_003

/** What a table comes to: how many rows, and for each column how many values and their sum. */
export type Sums = readonly number[]

/** Asks for `Sums`, in words that both databases understand in the same way. */
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

/** The columns in which two tables differ; 'rows' where there are more on one side. */
export function differencesOf({ columns }: MovedTable, one: Sums, other: Sums): readonly string[] {
  const names = ['rows', ...columns.flatMap(({ name }) => [name, name])]
  return [...new Set(names.filter((_, index) => one[index] !== other[index]))]
}
