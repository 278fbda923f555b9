/** One step of the schema, forward only. Once released it is never edited; a test holds its digest. */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly statements: readonly string[]
  /** After the statements, in the same transaction: what SQL cannot say. */
  readonly rewrites?: readonly Rewrite[]
}

/** Rewrites rows by code, a page at a time, whatever their number. */
export interface Rewrite {
  /** Its file's, which is not edited either once it is released. */
  readonly name: string
  readonly run: (rows: MigrationRows) => Promise<void>
}

/** Runs one statement with the values of `$1`, `$2` …; answers its rows, if it has any. */
export type MigrationRows = (
  statement: string,
  values: readonly (string | number)[],
) => Promise<readonly (readonly unknown[])[]>
