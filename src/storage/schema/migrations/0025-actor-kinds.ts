import type { Migration } from './migration.ts'

/** Changes of a rare kind of actor are found without reading those of the others. */
export const actorKinds: Migration = {
  number: 25,
  name: 'actor kinds',
  statements: ['create index changes_by_actor_kind on changes (actor_kind, seq)'],
}
