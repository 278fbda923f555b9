import type { Kysely, Transaction } from 'kysely'
import { createAccessToken } from '#core/access-token.ts'
import type { By } from '#core/change.ts'
import type { FrontEndSettings, NamedPerson } from '#core/front-end.ts'
import { isDisabled, isExpired } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { integer, optional } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { PersonTaken } from '#storage/store/front-ends.ts'
import { applyWrites, onlyUser, type UserWriting } from '#storage/users/apply-writes.ts'
import { parseSettings } from './settings.ts'

export async function findPerson(
  db: Kysely<Schema>,
  frontEndId: string,
  person: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('people')
    .select('user_id')
    .where('front_end_id', '=', frontEndId)
    .where('person', '=', person)
    .executeTakeFirst()
  return row?.user_id
}

/**
 * The user of a person. The row of the front end is locked, so that people are made one after the other: each once, and
 * never more than the settings allow.
 */
export async function takePerson(
  trx: Transaction<Schema>,
  writing: UserWriting,
  frontEndId: string,
  { person, nickname }: NamedPerson,
  by: By,
): Promise<PersonTaken> {
  const row = await trx
    .selectFrom('front_ends')
    .selectAll()
    .where('user_id', '=', frontEndId)
    .forUpdate()
    .executeTakeFirst()
  if (!row || !(await mayAsk(trx, frontEndId, by.now))) return { kind: 'closed' }
  const known = await findPerson(trx, frontEndId, person)
  if (known !== undefined) return { kind: 'taken', userId: known, isNew: false }
  const settings = parseSettings(row)
  const { count } = await trx
    .selectFrom('people')
    .select((e) => e.fn.countAll<number>().as('count'))
    .where('front_end_id', '=', frontEndId)
    .executeTakeFirstOrThrow()
  if (Number(count) >= settings.peopleMax) return { kind: 'full', peopleMax: settings.peopleMax }
  // The access token is shown nowhere unless an administrator asks for it.
  const write = {
    ref: { accessToken: createAccessToken() },
    edit: editOf(settings, nickname ?? person, by.now),
  }
  const made = onlyUser(await applyWrites(trx, writing, [write], by))
  if ('kind' in made) throw new TypeError(`the template of the front end ${frontEndId} makes no user`)
  await trx.insertInto('people').values({ front_end_id: frontEndId, person, user_id: made.id }).execute()
  return { kind: 'taken', userId: made.id, isNew: true }
}

async function mayAsk(trx: Transaction<Schema>, userId: string, now: number): Promise<boolean> {
  const row = await trx
    .selectFrom('users')
    .select(['disabled_at', 'expires_at'])
    .where('id', '=', userId)
    .executeTakeFirst()
  if (!row) return false
  const disabledAt = optional(row.disabled_at, integer) ?? undefined
  const expiresAt = optional(row.expires_at, integer) ?? undefined
  const block = {
    ...(disabledAt !== undefined && { disabledAt }),
    ...(expiresAt !== undefined && { expiresAt }),
  }
  return !isDisabled(block, now) && !isExpired(block, now)
}

const nicknameMax = 80
const dayMs = 86_400_000

function editOf({ template, expiresAfterDays }: FrontEndSettings, name: string, now: number): UserEdit {
  const nickname = [...name].slice(0, nicknameMax).join('')
  return {
    ...template,
    nickname,
    ...(expiresAfterDays !== undefined && { expiresAt: now + expiresAfterDays * dayMs }),
  }
}
