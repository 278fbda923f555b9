/** One step of the schema, forward only. Once released it is never edited; a test holds its digest. */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly statements: readonly string[]
}
