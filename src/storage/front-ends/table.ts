import type { Kysely, Transaction } from 'kysely'
import type { By, ChangeFields } from '#core/change.ts'
import type { FrontEnd, FrontEndSettings } from '#core/front-end.ts'
import type { Vault } from '#core/vault.ts'
import { present } from '#lib/present.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { FrontEndRow } from '#storage/schema/front-end-tables.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { FrontEndSecret, FrontEndStore } from '#storage/store/front-ends.ts'
import type { UserWriting } from '#storage/users/apply-writes.ts'
import { findPerson, takePerson } from './people.ts'
import { parseSettings } from './settings.ts'

/**
 * Front ends and their people. The row of the user holds the version of the settings, which a request reads with it; the
 * settings themselves stand apart, since a request needs them only where an instance does not know that version.
 */
export function createFrontEndTable(db: Kysely<Schema>, writing: UserWriting) {
  const { vault, saveChanges } = writing

  async function set(
    trx: Transaction<Schema>,
    userId: string,
    settings: FrontEndSettings,
    secret: FrontEndSecret,
    by: By,
  ): Promise<FrontEnd | 'unknown' | 'no_secret'> {
    const user = await lockUser(trx, userId)
    if (!user) return 'unknown'
    const before = await rowOf(trx, userId)
    const sealed = sealedOf(secret, userId, before, vault)
    if (secret.kind === 'kept' && sealed === null) return 'no_secret'
    const row: FrontEndRow = {
      user_id: userId,
      version: createSortableId('fev_', by.now),
      settings: JSON.stringify(settings),
      secret_encrypted: sealed,
    }
    const { user_id: _, ...changed } = row
    await trx
      .insertInto('front_ends')
      .values(row)
      .onConflict((conflict) => conflict.column('user_id').doUpdateSet(changed))
      .execute()
    await trx.updateTable('users').set({ front_end: row.version }).where('id', '=', userId).execute()
    const isNewSecret = secret.kind === 'new'
    await saveChanges(trx, [
      {
        ...{ by, kind: 'front_end.set', object: userId },
        ...(before && { before: fieldsOf(parseSettings(before)) }),
        after: { ...fieldsOf(settings), ...(isNewSecret && { secret: 'new' }) },
      },
    ])
    return toFrontEnd(row, vault)
  }

  return {
    reads: {
      async readFrontEnd(userId) {
        const row = await rowOf(db, userId)
        return row && toFrontEnd(row, vault)
      },
      findPerson: (frontEndId, person) => findPerson(db, frontEndId, person),
    },
    long: {
      async countPeople(userId) {
        const row = await db
          .selectFrom('people')
          .select((e) => e.fn.countAll<number>().as('count'))
          .where('front_end_id', '=', userId)
          .executeTakeFirstOrThrow()
        return integer(Number(row.count))
      },
    },
    writes: {
      setFrontEnd: (userId, settings, secret, by) =>
        db.transaction().execute((trx) => set(trx, userId, settings, secret, by)),

      removeFrontEnd: (userId, by) =>
        db.transaction().execute(async (trx) => {
          await lockUser(trx, userId)
          const before = await rowOf(trx, userId)
          if (!before) return false
          await trx.deleteFrom('front_ends').where('user_id', '=', userId).execute()
          await trx.updateTable('users').set({ front_end: null }).where('id', '=', userId).execute()
          await saveChanges(trx, [
            { by, kind: 'front_end.removed', object: userId, before: fieldsOf(parseSettings(before)) },
          ])
          return true
        }),

      takePerson: (frontEndId, person, by) =>
        db.transaction().execute((trx) => takePerson(trx, writing, frontEndId, person, by)),
    },
  } satisfies MethodGroups<FrontEndStore>
}

function lockUser(trx: Transaction<Schema>, userId: string) {
  return trx.selectFrom('users').select('id').where('id', '=', userId).forUpdate().executeTakeFirst()
}

function rowOf(db: Kysely<Schema>, userId: string): Promise<FrontEndRow | undefined> {
  return db.selectFrom('front_ends').selectAll().where('user_id', '=', userId).executeTakeFirst()
}

function sealedOf(
  secret: FrontEndSecret,
  userId: string,
  before: FrontEndRow | undefined,
  vault: Vault,
): string | null {
  switch (secret.kind) {
    case 'none':
      return null
    case 'kept':
      return before?.secret_encrypted ?? null
    case 'new':
      return vault.seal(secret.secret, userId)
  }
}

function toFrontEnd(row: FrontEndRow, vault: Vault): FrontEnd {
  const userId = text(row.user_id)
  return {
    userId,
    version: text(row.version),
    settings: parseSettings(row),
    ...(row.secret_encrypted !== null && { secret: vault.unseal(row.secret_encrypted, userId) }),
  }
}

/** What a change says of the settings; their secret is in none. */
function fieldsOf({ kind, header, networks, isRequired, ...more }: FrontEndSettings): ChangeFields {
  const { peopleMax, shownTemplate: template, expiresAfterDays } = more
  return { kind, isRequired, peopleMax, template, ...present({ header, networks, expiresAfterDays }) }
}
