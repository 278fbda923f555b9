import type { Kysely, Transaction } from 'kysely'
import type { By } from '#core/change.ts'
import { type Claim, claimsKeptMax, type NewClaim } from '#core/claim.ts'
import type { ConfiguredOpeners } from '#core/session.ts'
import { present } from '#lib/present.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { createKeyFinder, type KeyFinder } from '#storage/admin-keys/find.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { ClaimStore } from '#storage/store/claims.ts'
import type { UserWriting } from '#storage/users/apply-writes.ts'
import { type ClaimFinder, createClaimFinder } from './find.ts'
import { type StoredClaim, toClaim } from './rows.ts'
import { takeClaim } from './take.ts'

/** What the writes of links need beside the transaction. */
export type ClaimWriting = Pick<UserWriting, 'many' | 'vault' | 'instance' | 'saveChanges'>

/** Links that show an access token once. Every write holds the row of the user, so that they go one after the other. */
export function createClaimTable(parts: ClaimWriting & { readonly db: Kysely<Schema> }) {
  const { db, vault } = parts
  const claims = createClaimFinder(vault)
  const keys = createKeyFinder(vault, 'admin')
  return {
    reads: {
      async findClaim(code, now, openers) {
        const claim = await claims.byCode(db, code, now, openers)
        if (claim?.state !== 'open') return undefined
        const row = await db
          .selectFrom('users')
          .select(['id', 'nickname', 'disabled_at', 'disabled_reason', 'expires_at'])
          .where('id', '=', claim.userId)
          .executeTakeFirst()
        if (!row) return undefined
        const fields = {
          nickname: optional(row.nickname, text) ?? undefined,
          disabledAt: optional(row.disabled_at, integer) ?? undefined,
          disabledReason: optional(row.disabled_reason, text) ?? undefined,
          expiresAt: optional(row.expires_at, integer) ?? undefined,
        }
        return { claim, user: { id: text(row.id), ...present(fields) } }
      },
      listClaims: (userId, now, openers) => claims.byUser(db, userId, now, openers),
    },
    writes: {
      insertClaim: (claim, by, openers) =>
        db.transaction().execute((trx) => insert(trx, { ...parts, claims, keys }, claim, by, openers)),

      revokeClaim: (userId, id, by, openers) =>
        db.transaction().execute((trx) => revoke(trx, { ...parts, claims }, { userId, id }, by, openers)),

      takeClaim: (code, by, openers) =>
        db.transaction().execute((trx) => takeClaim(trx, parts, claims, code, by, openers)),
    },
  } satisfies MethodGroups<ClaimStore>
}

interface Writing extends ClaimWriting {
  readonly claims: ClaimFinder
}

/** Whether the user exists; its row is locked then. */
async function lockUser(trx: Transaction<Schema>, id: string): Promise<boolean> {
  const row = await trx.selectFrom('users').select('id').where('id', '=', id).forUpdate().executeTakeFirst()
  return row !== undefined
}

async function insert(
  trx: Transaction<Schema>,
  writing: Writing & { readonly keys: KeyFinder },
  claim: NewClaim,
  by: By,
  openers: ConfiguredOpeners | undefined,
): Promise<Claim | undefined> {
  const { claims, keys } = writing
  const { now } = by
  const { userId, code, rotation, expiresAt, madeWith } = claim
  if (!(await lockUser(trx, userId))) return undefined
  const before = (await claims.byUser(trx, userId, now, openers)).find(({ state }) => state === 'open')
  await trx
    .updateTable('claims')
    .set({ revoked_at: now })
    .where('user_id', '=', userId)
    .where('used_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .execute()
  const row = {
    id: createSortableId('clm_', now),
    user_id: userId,
    code_hmac: claims.hmacOf(code),
    ...(await makerOf(trx, keys, madeWith, now)),
    grace_ms: rotation?.graceMs ?? null,
    created_at: now,
    expires_at: expiresAt,
    used_at: null,
    revoked_at: null,
  }
  // Parsed before it is written, so that no row is stored that a later read refuses.
  const made = toClaim(row, now, true)
  await trx.insertInto('claims').values(row).execute()
  await removeOldest(trx, made)
  const after = { claim: made.id, expiresAt, ...present({ rotationGraceMs: rotation?.graceMs }) }
  await writing.saveChanges(trx, [
    {
      ...{ by, kind: 'user.claim_made', object: userId, after },
      ...(before && { before: { claim: before.id } }),
    },
  ])
  return made
}

/** What stands behind the request: the secret of a key, or a person's sign-on. */
async function makerOf(
  trx: Transaction<Schema>,
  keys: KeyFinder,
  madeWith: NewClaim['madeWith'],
  now: number,
): Promise<Pick<StoredClaim, 'key_id' | 'key_hmac' | 'person'>> {
  if ('secret' in madeWith) {
    const { keyId, secret } = madeWith
    const found = await keys.bySecret(trx, secret, now)
    // As it is stored, which may be under a master key before the present one.
    return { key_id: keyId, key_hmac: found?.hmac ?? keys.hmacOf(secret), person: null }
  }
  return trx
    .selectFrom('sessions')
    .select(['key_id', 'key_hmac', 'person'])
    .where('id', '=', madeWith.sessionId)
    .executeTakeFirstOrThrow()
}

/** A program that makes links without end would fill the table. The new link stays, whatever the clock says. */
async function removeOldest(trx: Transaction<Schema>, { id, userId }: Claim): Promise<void> {
  await trx
    .deleteFrom('claims')
    .where('id', 'in', (e) =>
      e
        .selectFrom('claims')
        .select('id')
        .where('user_id', '=', userId)
        .where('id', '<>', id)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(1000)
        .offset(claimsKeptMax - 1),
    )
    .execute()
}

async function revoke(
  trx: Transaction<Schema>,
  { claims, saveChanges }: Writing,
  { userId, id }: { readonly userId: string; readonly id: string },
  by: By,
  openers: ConfiguredOpeners | undefined,
): Promise<Claim | undefined> {
  const { now } = by
  if (!(await lockUser(trx, userId))) return undefined
  const claim = (await claims.byUser(trx, userId, now, openers)).find((each) => each.id === id)
  if (claim?.state !== 'open') return claim
  await trx.updateTable('claims').set({ revoked_at: now }).where('id', '=', id).execute()
  await saveChanges(trx, [
    {
      ...{ by, kind: 'user.claim_revoked', object: userId },
      before: { claim: id },
      after: { claim: null },
    },
  ])
  return { ...claim, state: 'revoked', revokedAt: now }
}
