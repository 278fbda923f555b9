import type { Selectable } from 'kysely'
import type { Claim, ClaimState } from '#core/claim.ts'
import { present } from '#lib/present.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { ClaimRow } from '#storage/schema/tables.ts'

export type StoredClaim = Selectable<ClaimRow>

/**
 * A link as it stands. A row with an invalid value throws: a link must never open for longer than it was made for.
 *
 * @param isMakerAccepted whether the secret with which it was made is still accepted
 */
export function toClaim(row: StoredClaim, now: number, isMakerAccepted: boolean): Claim {
  const graceMs = optional(row.grace_ms, integer)
  const claim = {
    id: text(row.id),
    userId: text(row.user_id),
    createdAt: integer(row.created_at),
    expiresAt: integer(row.expires_at),
    ...present({
      rotation: graceMs === null ? undefined : { graceMs },
      usedAt: optional(row.used_at, integer) ?? undefined,
      revokedAt: optional(row.revoked_at, integer) ?? undefined,
    }),
  }
  return { ...claim, state: stateOf(claim, now, isMakerAccepted) }
}

function stateOf(
  { usedAt, revokedAt, expiresAt }: Pick<Claim, 'usedAt' | 'revokedAt' | 'expiresAt'>,
  now: number,
  isMakerAccepted: boolean,
): ClaimState {
  if (usedAt !== undefined) return 'used'
  if (revokedAt !== undefined) return 'revoked'
  if (expiresAt <= now) return 'expired'
  return isMakerAccepted ? 'open' : 'revoked'
}
