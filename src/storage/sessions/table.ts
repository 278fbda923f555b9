import type { Kysely, Transaction } from 'kysely'
import type { AdminKey } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import type { ConfiguredKey, LiveSession, NewSession, Session } from '#core/session.ts'
import type { Vault } from '#core/vault.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { keyStillAccepted } from '#storage/admin-keys/accepted.ts'
import { createKeyFinder, isSameHmac, type KeyFinder } from '#storage/admin-keys/find.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { Schema, SessionRow } from '#storage/schema/tables.ts'
import type { SessionStore } from '#storage/store.ts'

/** A script that logs in without end would fill the table: the oldest session of the key ends. */
const perKeyMax = 100

/** Sessions are stored as keyed hashes only, of what the browser presents and of the secret that opened them. */
export function createSessionTable(db: Kysely<Schema>, vault: Vault, saveChanges: SaveChanges) {
  const own = createKeyFinder(vault, 'session')
  const keys = createKeyFinder(vault, 'admin')

  const live = (row: SessionRow, now: number, configured: ConfiguredKey | undefined) =>
    liveSession(db, keys, row, now, configured)

  async function insert(trx: Transaction<Schema>, session: NewSession, by: By): Promise<Session> {
    const { now } = by
    await trx.deleteFrom('sessions').where('idle_until', '<=', now).execute()
    const opener = await keys.bySecret(trx, session.openedBy, now)
    const row = {
      id: createSortableId('ses_', now),
      session_hmac: own.hmacOf(session.secret),
      // As it is stored, which may be under a master key before the present one.
      key_hmac: opener?.hmac ?? keys.hmacOf(session.openedBy),
      key_id: session.keyId,
      address: session.address,
      created_at: now,
      expires_at: session.expiresAt,
      idle_until: session.idleUntil,
      coded_at: session.isCoded ? now : null,
    }
    const made = toSession(row)
    await trx.insertInto('sessions').values(row).execute()
    await endOldest(trx, session.keyId)
    const after = { keyId: made.keyId, address: made.address }
    await saveChanges(trx, [{ by, kind: 'session.opened', object: made.id, after }])
    return made
  }

  return {
    reads: {
      async findSession(secret, now, configured) {
        const hmacs = await own.hmacsOf(db, secret)
        const query = db.selectFrom('sessions').selectAll().where('session_hmac', 'in', hmacs)
        const row = await query.executeTakeFirst()
        const isFound = hmacs.some((hmac) => isSameHmac(row?.session_hmac ?? '', hmac))
        return row && isFound ? live(row, now, configured) : undefined
      },
    },
    long: {
      async listSessions(now, configured) {
        const query = db.selectFrom('sessions').selectAll().where('idle_until', '>', now)
        const rows = await query.orderBy('created_at').orderBy('id').execute()
        const found: LiveSession[] = []
        for (const row of rows) {
          const session = await live(row, now, configured)
          if (session) found.push(session)
        }
        return found
      },
    },
    writes: {
      insertSession: (session, by) => db.transaction().execute((trx) => insert(trx, session, by)),

      async renewSession(id, idleUntil) {
        await db
          .updateTable('sessions')
          .set({ idle_until: idleUntil })
          .where('id', '=', id)
          .where('idle_until', '<', idleUntil)
          .execute()
      },

      deleteSession: (id, by) =>
        db.transaction().execute(async (trx) => {
          const { numDeletedRows } = await trx
            .deleteFrom('sessions')
            .where('id', '=', id)
            .executeTakeFirstOrThrow()
          if (Number(numDeletedRows) === 0) return false
          await saveChanges(trx, [{ by, kind: 'session.ended', object: id }])
          return true
        }),
    },
  } satisfies MethodGroups<SessionStore>
}

/** Undefined where the session, or the secret that opened it, is no longer accepted. */
async function liveSession(
  db: Kysely<Schema>,
  keys: KeyFinder,
  row: SessionRow,
  now: number,
  configured: ConfiguredKey | undefined,
): Promise<LiveSession | undefined> {
  const session = toSession(row)
  if (session.expiresAt <= now || session.idleUntil <= now) return undefined
  const key = await keyStillAccepted(db, keys, row, now, configured)
  if (!key || !isCodedFor(key, row)) return undefined
  return { session, key }
}

/** Asked at each use: a login without a code may be under way when the second factor of its key begins to apply. */
function isCodedFor({ secondFactorAt }: AdminKey, row: SessionRow): boolean {
  return secondFactorAt === undefined || (row.coded_at !== null && integer(row.coded_at) >= secondFactorAt)
}

/** Ends the sessions of a key beyond the newest ones. */
async function endOldest(trx: Transaction<Schema>, keyId: string): Promise<void> {
  await trx
    .deleteFrom('sessions')
    .where('id', 'in', (e) =>
      e
        .selectFrom('sessions')
        .select('id')
        .where('key_id', '=', keyId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(1000)
        .offset(perKeyMax),
    )
    .execute()
}

/** A row with an invalid value throws. */
function toSession(row: SessionRow): Session {
  return {
    id: text(row.id),
    keyId: text(row.key_id),
    createdAt: integer(row.created_at),
    expiresAt: integer(row.expires_at),
    idleUntil: integer(row.idle_until),
    address: text(row.address),
  }
}
