import type { TestDatabase } from './stores.ts'

/** A trigger of the test that refuses to write some rows, as an operator's constraint would. */
interface Blocked {
  readonly table: 'entries' | 'users' | 'quotas' | 'usage_minutes'
  readonly on: 'insert' | 'update' | 'delete'
  /** A condition over `new`, or `old` where rows are deleted. */
  readonly when: string
}

/** Makes the database refuse to write some rows; returns a function that allows them again. */
export async function blockRows(
  database: TestDatabase,
  { table, on, when }: Blocked,
): Promise<() => Promise<void>> {
  const name = `blocked_${table}_${on}`
  if (database.name === 'SQLite') {
    await database.change(
      `create trigger ${name} before ${on} on ${table} when ${when} begin select raise(abort, 'blocked'); end`,
    )
    return () => database.change(`drop trigger ${name}`)
  }
  await database.change(
    `create function ${name}() returns trigger language plpgsql as $$ begin raise exception 'blocked'; end $$`,
  )
  await database.change(
    `create trigger ${name} before ${on} on ${table} for each row when (${when}) execute function ${name}()`,
  )
  return async () => {
    await database.change(`drop trigger ${name} on ${table}`)
    await database.change(`drop function ${name}()`)
  }
}
