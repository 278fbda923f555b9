import type { Migration } from './migration.ts'
import { searchTexts } from './search-texts.ts'

/**
 * Tags of users. They stand in the row of the user, which is read as a whole, and in a table by which users and usage
 * are found. What a search looks at beside the name has a table of its own as well: a request writes the row of its
 * user, which must not grow by the note once more.
 */
export const tags: Migration = {
  number: 10,
  name: 'tags',
  statements: [
    'alter table users add column tags text',
    `create table user_tags (
      user_id text not null,
      tag text not null,
      primary key (user_id, tag)
    ) /* clustered */`,
    'create index user_tags_by_tag on user_tags (tag, user_id)',
    `create table search_texts (
      user_id text not null primary key,
      words text not null
    )`,
  ],
  rewrites: [searchTexts],
}
