import { text } from '#storage/schema/columns.ts'
import type { MigrationRows, Rewrite } from './migration.ts'

const pageRows = 500
const page = `select id, admin_note, meta from users
  where id > $1 and (admin_note is not null or meta is not null) order by id limit ${pageRows}`
const adding = (count: number) =>
  `insert into search_texts (user_id, words) values ${Array.from(
    { length: count },
    (_, row) => `($${2 * row + 1}, $${2 * row + 2})`,
  ).join(', ')}`

/**
 * The notes and metas of the users who have any, in lower case, as a search looks at them. SQLite's own `lower` knows
 * ASCII only. The next edit of a user writes the text as it is written by then.
 */
export const searchTexts: Rewrite = {
  name: 'search-texts',
  async run(rows: MigrationRows) {
    let after = ''
    for (;;) {
      const found = await rows(page, [after])
      const last = found.at(-1)
      if (last === undefined) return
      after = text(last[0])
      const values = found.flatMap(([id, note, meta]) => [
        text(id),
        [note, meta]
          .filter((part) => typeof part === 'string')
          .join('\n')
          .toLowerCase(),
      ])
      await rows(adding(found.length), values)
    }
  },
}
