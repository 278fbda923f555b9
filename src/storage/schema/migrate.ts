import { migrations } from '#storage/schema/migrations/list.ts'
import type { Migration, MigrationRows } from '#storage/schema/migrations/migration.ts'

/** What a database must offer to be migrated. */
export interface Migratable {
  /** Runs `work` in one transaction that no other process can run beside it. */
  readonly exclusively: (work: () => Promise<void>) => Promise<void>
  readonly run: (statement: string) => Promise<void>
  readonly rows: MigrationRows
  /** The numbers of the applied migrations. */
  readonly applied: () => Promise<readonly number[]>
  readonly claim: (migration: Migration, now: number) => Promise<void>
}

/** The database was made by a later version of the program; running on it would damage it. */
class NewerSchema extends Error {
  constructor(found: number, known: number) {
    super(
      `the database has schema ${found}, this version knows ${known}: start the newer version again, or restore a backup`,
    )
    this.name = 'NewerSchema'
  }
}

/** Throws where the schema is not that of this version, for work beside servers: only a server changes it. */
export function refuseOtherSchema(found: number): void {
  const newest = Math.max(...migrations.map((step) => step.number))
  if (found > newest) throw new NewerSchema(found, newest)
  if (found < newest)
    throw new Error(
      `the database has schema ${found}, this version needs ${newest}: start the server of this version first`,
    )
}

/**
 * Brings the schema up to date: each missing migration is claimed and run in one transaction, so that instances
 * that start at once wait for each other and none is run twice or halfway.
 */
export async function migrate(
  database: Migratable,
  now: number,
  steps: readonly Migration[] = migrations,
): Promise<number> {
  const newest = Math.max(...steps.map((step) => step.number))
  let ran = 0
  await database.exclusively(async () => {
    await database.run(
      'create table if not exists migrations (number bigint not null primary key, name text not null, applied_at bigint not null)',
    )
    const applied = new Set(await database.applied())
    const found = Math.max(0, ...applied)
    if (found > newest) throw new NewerSchema(found, newest)
    for (const step of steps) {
      if (applied.has(step.number)) continue
      await database.claim(step, now)
      for (const statement of step.statements) await database.run(statement)
      for (const { run } of step.rewrites ?? []) await run(database.rows)
      ran++
    }
  })
  return ran
}
