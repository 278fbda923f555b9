import { CompiledQuery } from 'kysely'
import type { ManyRows } from '#storage/many-rows.ts'
import { statementsOf } from '#storage/schema/write.ts'
import { arrayOf, columnsOf, writeMany } from './many.ts'

/** Many rows on PostgreSQL: each list is one parameter, an array. */
export function createPostgresRows(): ManyRows {
  const textOf = statementsOf(writeMany)

  return {
    locksRows: true,

    async query<Row>(...[db, text, keys]: Parameters<ManyRows['query']>) {
      const whole = text.replace('{in}', '= any($1::text[])').replace('{lock}', inOrder)
      const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(whole, [arrayOf(keys)]))
      return rows
    },

    async write(db, write, rows) {
      if (rows.length === 0) return
      const values = columnsOf(rows, write.columns.length)
      await db.executeQuery(CompiledQuery.raw(textOf(write), values))
    },
  }
}

/** By an expression that no index holds, so that the planner does not walk an index to sort. */
const inOrder = "order by id || '' for update"
