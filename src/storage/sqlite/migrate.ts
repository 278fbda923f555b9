import type { DatabaseSync } from 'node:sqlite'
import { integer } from '#storage/schema/columns.ts'
import { migrate } from '#storage/schema/migrate.ts'

/** Brings the schema up to date. */
export async function migrateSqlite(db: DatabaseSync): Promise<void> {
  await migrate(
    {
      async exclusively(work) {
        db.exec('begin immediate')
        try {
          await work()
          db.exec('commit')
        } catch (error) {
          if (db.isTransaction) db.exec('rollback')
          throw error
        }
      },
      // Rows are stored in the tree of their key: that halves the pages a request writes.
      run: async (statement) => db.exec(statement.replace('/* clustered */', 'without rowid')),
      async rows(statement, values) {
        const prepared = db.prepare(statement.replaceAll('$', '?'))
        prepared.setReturnArrays(true)
        return prepared.all(...values) as unknown as readonly (readonly unknown[])[]
      },
      applied: async () =>
        db
          .prepare('select number from migrations')
          .all()
          .map((row) => integer(row.number)),
      claim: async (step, now) => {
        db.prepare('insert into migrations (number, name, applied_at) values (?, ?, ?)').run(
          step.number,
          step.name,
          now,
        )
      },
    },
    Date.now(),
  )
}
