import type { Transaction } from 'kysely'
import type { By, NewChange } from '#core/change.ts'
import type { ConfiguredOpeners } from '#core/session.ts'
import { blockNow } from '#core/user.ts'
import { present } from '#lib/present.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { ClaimTaken } from '#storage/store/claims.ts'
import type { Draft } from '#storage/users/draft.ts'
import { loadDraft } from '#storage/users/draft-rows.ts'
import { replaceTokens } from '#storage/users/rotate.ts'
import type { ClaimFinder } from './find.ts'
import type { ClaimWriting } from './table.ts'

/**
 * Uses a link up and reads the access token, in one transaction that holds the user's row: of links that are taken at once,
 * and of an administrator's changes meanwhile, one goes first and the other sees what it did. The access token leaves only
 * after the commit. So a process that is killed in between has used the link up without showing anything, and the holder
 * needs a new one; no access token is ever shown twice.
 */
export async function takeClaim(
  trx: Transaction<Schema>,
  writing: ClaimWriting,
  claims: ClaimFinder,
  code: string,
  { now, ...request }: Omit<By, 'actor'>,
  openers: ConfiguredOpeners | undefined,
): Promise<ClaimTaken> {
  const found = await claims.byCode(trx, code, now, openers)
  if (found?.state !== 'open') return { kind: 'ended' }
  const draft = await loadDraft(trx, writing, { id: found.userId }, now)
  if (!draft) return { kind: 'ended' }
  // Read again under the lock of the user, which every change of a link takes.
  const claim = await claims.byCode(trx, code, now, openers)
  if (claim?.state !== 'open') return { kind: 'ended' }
  const { disabledAt, disabledReason, expiresAt } = draft.profile
  const block = { id: draft.id, ...present({ disabledAt, disabledReason, expiresAt }) }
  if (blockNow(block, now)) return { kind: 'blocked', user: block }
  const { numUpdatedRows } = await trx
    .updateTable('claims')
    .set({ used_at: now })
    .where('id', '=', claim.id)
    .where('used_at', 'is', null)
    .executeTakeFirstOrThrow()
  if (Number(numUpdatedRows) !== 1) return { kind: 'ended' }
  const by: By = { ...request, now, actor: { kind: 'claim', id: claim.id } }
  const used: NewChange = {
    ...{ by, kind: 'user.claim_used', object: draft.id },
    before: { claim: claim.id },
    after: { claim: null },
  }
  const { rotation } = claim
  if (!rotation) {
    await writing.saveChanges(trx, [used])
    return { kind: 'taken', user: shown(draft) }
  }
  const previousUntil = rotation.graceMs > 0 ? now + rotation.graceMs : undefined
  const { rotated, changes } = await replaceTokens(trx, writing, [draft], previousUntil, by)
  await writing.saveChanges(trx, [used, ...changes])
  return { kind: 'taken', user: shown(rotated[0] ?? draft), ...present({ previousUntil }) }
}

function shown({ id, accessToken, profile: { nickname } }: Draft) {
  return { id, accessToken, ...present({ nickname }) }
}
