import type { Transaction } from 'kysely'
import type { UserProfile } from '#core/user-edit.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { chunksOf } from './quota-changes.ts'

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

const rowsAtOnce = 1_000

export async function saveFoundBy(trx: Transaction<Schema>, users: readonly FoundBy[]): Promise<void> {
  const tagged = users.filter(({ profile, stored }) => tagsOf(profile) !== tagsOf(stored))
  await removeTags(
    trx,
    tagged.flatMap(({ id, stored }) => (stored?.tags ? [id] : [])),
  )
  const tags = tagged.flatMap(({ id, profile }) => (profile.tags ?? []).map((tag) => ({ user_id: id, tag })))
  for (const rows of chunksOf(tags, rowsAtOnce)) await trx.insertInto('user_tags').values(rows).execute()

  const worded = users.flatMap(({ id, profile, stored }) => {
    const [before, after] = [stored && wordsOf(stored), wordsOf(profile)]
    return (before ?? '') === after ? [] : [{ id, before, after }]
  })
  await removeWords(
    trx,
    worded.flatMap(({ id, before }) => (before ? [id] : [])),
  )
  const words = worded.flatMap(({ id, after }) => (after === '' ? [] : [{ user_id: id, words: after }]))
  for (const rows of chunksOf(words, rowsAtOnce))
    await trx
      .insertInto('search_texts')
      .values(rows)
      // A note that stood before there were search texts may have one, or none.
      .onConflict((conflict) =>
        conflict.column('user_id').doUpdateSet((e) => ({ words: e.ref('excluded.words') })),
      )
      .execute()
}

/** For users who are removed. */
export async function removeFoundBy(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  await removeTags(trx, ids)
  await removeWords(trx, ids)
}

async function removeTags(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunksOf(ids, rowsAtOnce))
    await trx.deleteFrom('user_tags').where('user_id', 'in', some).execute()
}

async function removeWords(trx: Transaction<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunksOf(ids, rowsAtOnce))
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
