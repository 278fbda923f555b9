import type { Kysely, Transaction } from 'kysely'
import type { AdminKey } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import type { Scope } from '#core/scopes.ts'
import type { ConfiguredOpeners, LiveSession, NewSession, Session } from '#core/session.ts'
import { type Person, presentScopes } from '#core/sign-on.ts'
import type { Vault } from '#core/vault.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { keyStillAccepted } from '#storage/admin-keys/accepted.ts'
import { createKeyFinder, isSameHmac, type KeyFinder } from '#storage/admin-keys/find.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { Schema, SessionRow } from '#storage/schema/tables.ts'
import type { SessionStore } from '#storage/store.ts'
import { parsePerson } from './person.ts'

/** A script that logs in without end would fill the table: the oldest session of the key ends. */
const perKeyMax = 100

/** Sessions are stored as keyed hashes only, of what the browser presents and of the secret that opened them. */
export function createSessionTable(db: Kysely<Schema>, vault: Vault, saveChanges: SaveChanges) {
  const own = createKeyFinder(vault, 'session')
  const keys = createKeyFinder(vault, 'admin')

  const live = (row: SessionRow, now: number, openers: ConfiguredOpeners = {}) =>
    liveSession(db, keys, row, now, openers)

  async function insert(trx: Transaction<Schema>, session: NewSession, by: By): Promise<Session> {
    const { now } = by
    await trx.deleteFrom('sessions').where('idle_until', '<=', now).execute()
    const { openedBy } = session
    const row = {
      id: createSortableId('ses_', now),
      session_hmac: own.hmacOf(session.secret),
      key_hmac: typeof openedBy === 'string' ? await storedHmac(trx, keys, openedBy, now) : '',
      key_id: session.keyId,
      address: session.address,
      created_at: now,
      expires_at: session.expiresAt,
      idle_until: session.idleUntil,
      coded_at: session.isCoded ? now : null,
      person: typeof openedBy === 'string' ? null : JSON.stringify(openedBy),
    }
    const made = toSession(row)
    await trx.insertInto('sessions').values(row).execute()
    await endOldest(trx, session.keyId)
    const { keyId, address, person } = made
    const after = { keyId, address, ...(person && { ...person, scopes: person.scopes.join(' ') }) }
    await saveChanges(trx, [{ by, kind: 'session.opened', object: made.id, after }])
    return made
  }

  return {
    reads: {
      async findSession(secret, now, openers) {
        const hmacs = await own.hmacsOf(db, secret)
        const query = db.selectFrom('sessions').selectAll().where('session_hmac', 'in', hmacs)
        const row = await query.executeTakeFirst()
        const isFound = hmacs.some((hmac) => isSameHmac(row?.session_hmac ?? '', hmac))
        return row && isFound ? live(row, now, openers) : undefined
      },
    },
    long: {
      async listSessions(now, openers) {
        const query = db.selectFrom('sessions').selectAll().where('idle_until', '>', now)
        const rows = await query.orderBy('created_at').orderBy('id').execute()
        const found: LiveSession[] = []
        for (const row of rows) {
          const session = await live(row, now, openers)
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
  { key: configured, signOn }: ConfiguredOpeners,
): Promise<LiveSession | undefined> {
  const session = toSession(row)
  if (session.expiresAt <= now || session.idleUntil <= now) return undefined
  const { person } = session
  if (person) {
    const scopes = signOn && presentScopes(person, signOn)
    return scopes?.length ? { session, key: keyOf(session, person, scopes) } : undefined
  }
  const key = await keyStillAccepted(db, keys, row, now, configured)
  if (!key || !isCodedFor(key, row)) return undefined
  return { session, key }
}

/** What stands for the admin key where a person has none. */
function keyOf({ keyId, createdAt }: Session, { name }: Person, scopes: readonly Scope[]): AdminKey {
  return { id: keyId, name, createdAt, scopes }
}

/** The hash of a key as it is stored, which may be under a master key before the present one. */
async function storedHmac(
  trx: Transaction<Schema>,
  keys: KeyFinder,
  secret: string,
  now: number,
): Promise<string> {
  return (await keys.bySecret(trx, secret, now))?.hmac ?? keys.hmacOf(secret)
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
    ...(row.person !== null && { person: parsePerson(row.person) }),
  }
}
