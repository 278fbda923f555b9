import type { Migration } from './migration.ts'

/**
 * By how much the estimate of a model's input is wrong, as the provider's own figures have shown: for each kind of
 * content what each of a few voices says. Some thousand rows at most, which no request reads or writes.
 */
export const inputCorrections: Migration = {
  number: 5,
  name: 'input corrections',
  statements: [
    `create table input_corrections (
      model text not null,
      kind text not null,
      voice bigint not null,
      factor double precision not null,
      requests bigint not null,
      updated_at bigint not null,
      primary key (model, kind, voice)
    ) /* clustered */`,
  ],
}
