import type { Transaction } from 'kysely'
import type { UserProfile } from '#core/user-edit.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'

/**
 * What users are found by beside their own row: the table of tags, and the text of tags, note and meta that a search
 * looks at. Both follow from the profile, and are written with it.
 */
export interface FoundBy {
  readonly id: string
  readonly profile: UserProfile
  /** As it is stored; undefined for a new user. */
  readonly stored: UserProfile | undefined
}

const tagRows = inserts('user_tags', ['user_id', 'tag'])
const wordRows = inserts(
  'search_texts',
  ['user_id', 'words'],
  // A note that stood before there were search texts may have one, or none.
  'on conflict (user_id) do update set words = excluded.words',
)

export async function saveFoundBy(
  trx: Transaction<Schema>,
  { many }: { readonly many: ManyRows },
  users: readonly FoundBy[],
): Promise<void> {
  const tagged = users.filter(({ profile, stored }) => tagsOf(profile) !== tagsOf(stored))
  await removeTags(
    trx,
    tagged.flatMap(({ id, stored }) => (stored?.tags ? [id] : [])),
  )
  const tags = tagged.flatMap(({ id, profile }) => (profile.tags ?? []).map((tag) => [id, tag]))
  await many.write(trx, tagRows, tags)

  const worded = users.flatMap(({ id, profile, stored }) => {
    const [before, after] = [stored && wordsOf(stored), wordsOf(profile)]
    return (before ?? '') === after ? [] : [{ id, before, after }]
  })
  await removeWords(
    trx,
    worded.flatMap(({ id, before }) => (before ? [id] : [])),
  )
  const words = worded.flatMap(({ id, after }) => (after === '' ? [] : [[id, after]]))
  await many.write(trx, wordRows, words)
}

/** For users who are removed. */
export async function removeFoundBy(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  await removeTags(trx, ids)
  await removeWords(trx, ids)
}

async function removeTags(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunksOf(ids)) await trx.deleteFrom('user_tags').where('user_id', 'in', some).execute()
}

async function removeWords(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunksOf(ids))
    await trx.deleteFrom('search_texts').where('user_id', 'in', some).execute()
}

function tagsOf(profile: UserProfile | undefined): string {
  return (profile?.tags ?? []).join(',')
}

/** Lines in lower case; empty where there is nothing to search. */
function wordsOf({ tags = [], adminNote = '', meta }: UserProfile): string {
  if (tags.length === 0 && adminNote === '' && meta === undefined) return ''
  return [...tags, adminNote, ...linesOf('', meta)]
    .filter((line) => line !== '')
    .join('\n')
    .toLowerCase()
}

/** The members of a meta, such as `team.name: blue`. It is at most 16 deep. */
function linesOf(place: string, value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return value === undefined ? [] : [`${place}: ${value}`]
  if (Array.isArray(value)) return value.flatMap((item) => linesOf(place, item))
  return Object.entries(value).flatMap(([name, item]) =>
    linesOf(place === '' ? name : `${place}.${name}`, item),
  )
}
