import type { Kysely, Transaction } from 'kysely'
import { lockedUntil, lockLeft, type SecondFactor, timeStepAt } from '#core/second-factor.ts'
import type { Vault } from '#core/vault.ts'
import { createKeyFinder } from '#storage/admin-keys/find.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { Schema, SecondFactorRow } from '#storage/schema/tables.ts'
import type { SecondFactorStore } from '#storage/store.ts'

/** The app's secret is encrypted, since codes are computed from it; recovery codes are keyed hashes. */
export function createSecondFactorTable(db: Kysely<Schema>, vault: Vault, saveChanges: SaveChanges) {
  const codes = createKeyFinder(vault, 'recovery')
  const codeOf = (keyId: string, code: string) => `${keyId} ${code}`
  const toFactor = (row: SecondFactorRow): SecondFactor => ({
    secret: vault.unseal(row.secret_encrypted, row.id),
    isConfirmed: row.confirmed_at !== null,
  })

  return {
    writes: {
      beginSecondFactor: (keyId, { secret, recoveryCodes }, by) =>
        db.transaction().execute(async (trx) => {
          const key = await lockedKey(trx, keyId)
          if (!key) return 'unknown'
          if (key.second_factor_at !== null) return 'confirmed'
          await trx.deleteFrom('second_factors').where('id', '=', keyId).execute()
          const row: SecondFactorRow = {
            id: keyId,
            secret_encrypted: vault.seal(secret, keyId),
            recovery_hmacs: JSON.stringify(recoveryCodes.map((code) => codes.hmacOf(codeOf(keyId, code)))),
            confirmed_at: null,
            last_step: 0,
            attempts: 0,
            locked_until: 0,
          }
          await trx.insertInto('second_factors').values(row).execute()
          await saveChanges(trx, [{ by, kind: 'second_factor.begun', object: keyId }])
          return 'begun'
        }),

      takeAttempt: (keyId, now) =>
        db.transaction().execute(async (trx) => {
          const row = await lockedRow(trx, keyId)
          if (!row) return { kind: 'unknown' }
          const waitMs = lockLeft(integer(row.locked_until), now)
          if (waitMs > 0) return { kind: 'locked', waitMs }
          const attempts = integer(row.attempts) + 1
          await trx
            .updateTable('second_factors')
            .set({ attempts, locked_until: lockedUntil(attempts, now) })
            .where('id', '=', keyId)
            .execute()
          return { kind: 'may', factor: toFactor(row) }
        }),

      confirmSecondFactor: (keyId, { secret, step, sessionId }, by) =>
        db.transaction().execute(async (trx) => {
          if (!(await lockedKey(trx, keyId))) return false
          const row = await lockedRow(trx, keyId)
          // Begun anew since the code was looked at: the code belongs to another secret.
          if (!row || row.confirmed_at !== null || toFactor(row).secret !== secret) return false
          const { now } = by
          await trx
            .updateTable('second_factors')
            .set({ confirmed_at: now, last_step: step, attempts: 0, locked_until: 0 })
            .where('id', '=', keyId)
            .execute()
          await trx.updateTable('admin_keys').set({ second_factor_at: now }).where('id', '=', keyId).execute()
          await endUncoded(trx, keyId, sessionId, now)
          await saveChanges(trx, [{ by, kind: 'second_factor.confirmed', object: keyId }])
          return true
        }),

      async takeStep(keyId, step) {
        const taken = await db
          .updateTable('second_factors')
          .set({ last_step: step, attempts: 0, locked_until: 0 })
          .where('id', '=', keyId)
          .where('last_step', '<', step)
          .executeTakeFirstOrThrow()
        return Number(taken.numUpdatedRows) > 0
      },

      takeRecoveryCode: (keyId, code, by) =>
        db.transaction().execute(async (trx) => {
          const row = await lockedRow(trx, keyId)
          if (!row) return false
          const hmacs = await codes.hmacsOf(trx, codeOf(keyId, code))
          const kept = parseHmacs(row.recovery_hmacs)
          const left = kept.filter((each) => !hmacs.includes(each))
          if (left.length === kept.length) return false
          // A clock that was ahead may have taken a code of the future, after which no code of the present is accepted.
          const lastStep = Math.min(integer(row.last_step), timeStepAt(by.now) + 1)
          await trx
            .updateTable('second_factors')
            .set({ recovery_hmacs: JSON.stringify(left), last_step: lastStep, attempts: 0, locked_until: 0 })
            .where('id', '=', keyId)
            .execute()
          await saveChanges(trx, [
            { by, kind: 'second_factor.recovered', object: keyId, after: { codesLeft: left.length } },
          ])
          return true
        }),

      noteWrongCode: (keyId, by) =>
        db
          .transaction()
          .execute((trx) =>
            saveChanges(trx, [
              { by, kind: 'login.failed', object: keyId, after: { secondFactor: 'wrong code' } },
            ]),
          ),

      removeSecondFactor: (keyId, by) =>
        db.transaction().execute(async (trx) => {
          if (!(await lockedKey(trx, keyId))) return false
          const removed = await trx
            .deleteFrom('second_factors')
            .where('id', '=', keyId)
            .executeTakeFirstOrThrow()
          await trx
            .updateTable('admin_keys')
            .set({ second_factor_at: null })
            .where('id', '=', keyId)
            .execute()
          if (Number(removed.numDeletedRows) === 0) return false
          await saveChanges(trx, [{ by, kind: 'second_factor.removed', object: keyId }])
          return true
        }),
    },
  } satisfies MethodGroups<SecondFactorStore>
}

/** Whatever changes a second factor takes the lock of its key first. */
function lockedKey(trx: Transaction<Schema>, keyId: string) {
  return trx
    .selectFrom('admin_keys')
    .select('second_factor_at')
    .where('id', '=', keyId)
    .forUpdate()
    .executeTakeFirst()
}

function lockedRow(trx: Transaction<Schema>, keyId: string) {
  return trx.selectFrom('second_factors').selectAll().where('id', '=', keyId).forUpdate().executeTakeFirst()
}

/** Ends the sessions that were opened without a code. The one that sends this code has shown one. */
async function endUncoded(
  trx: Transaction<Schema>,
  keyId: string,
  sessionId: string | undefined,
  now: number,
): Promise<void> {
  await trx
    .deleteFrom('sessions')
    .where('key_id', '=', keyId)
    .where('id', '<>', sessionId ?? '')
    .execute()
  await trx.updateTable('sessions').set({ coded_at: now }).where('key_id', '=', keyId).execute()
}

function parseHmacs(value: unknown): readonly string[] {
  const hmacs: unknown = JSON.parse(text(value))
  if (!Array.isArray(hmacs) || !hmacs.every((each) => typeof each === 'string'))
    throw new TypeError('the recovery codes of an admin key cannot be read')
  return hmacs
}
