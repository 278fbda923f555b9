import type { Kysely } from 'kysely'
import type { By } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import { removeChanges } from '#storage/changes/remove.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import { removeEndedClaims } from '#storage/claims/remove.ts'
import { gatherRequests } from '#storage/ledger/user-requests.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { removeTraces } from '#storage/purge/traces.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { removeCorrections } from '#storage/usage/corrections.ts'
import { removeEndedTokens } from '#storage/users/old-tokens.ts'
import { removeEntries, removeEvents } from './entries.ts'
import type { ExpiredUser, OldAddress, OldMinutes } from './find.ts'
import { gatherMinutes, removeMinutes } from './minutes.ts'
import { removeAddresses, removeUsers } from './users.ts'

/**
 * Removes and gathers rows. Each call is one transaction of a few milliseconds, as long as its caller asks for few
 * rows. A power loss loses nothing that the next pass would not find again.
 */
export interface UpkeepWriter {
  readonly gatherMinutes: (hours: readonly OldMinutes[]) => Promise<number>
  /** Adds requests that came in before to the table by user. */
  readonly gatherRequests: (before: number, limit: number) => Promise<number>
  readonly removeMinutes: (before: number, limit: number) => Promise<number>
  readonly removeEntries: (before: number, limit: number) => Promise<number>
  readonly removeEvents: (before: number, limit: number) => Promise<number>
  readonly removeClaims: (endedBefore: number, limit: number) => Promise<number>
  readonly removeTokens: (now: number, limit: number) => Promise<number>
  readonly removeUsers: (users: readonly ExpiredUser[], by: By) => Promise<number>
  readonly removeAddresses: (addresses: readonly OldAddress[]) => Promise<number>
  readonly removeChanges: (before: number, limit: number) => Promise<number>
  readonly removeCorrections: (before: number, limit: number) => Promise<number>
  readonly removeTraces: (userId: string | undefined, limit: number) => Promise<number>
}

/** @param unreadMs the age of the oldest rows that are written but cannot be read yet */
export function createUpkeepWriter(
  db: Kysely<Schema>,
  parts: { readonly many: ManyRows; readonly vault: Vault; readonly saveChanges: SaveChanges },
  unreadMs: (db: Kysely<Schema>) => Promise<number> = async () => 0,
) {
  return {
    writes: {
      gatherMinutes: (hours) => gatherMinutes(db, hours),
      gatherRequests: async (before, limit) => gatherRequests(db, before - (await unreadMs(db)), limit),
      removeMinutes: (before, limit) => removeMinutes(db, before, limit),
      removeEntries: (before, limit) => removeEntries(db, before, limit),
      removeEvents: (before, limit) => removeEvents(db, before, limit),
      removeChanges: (before, limit) => removeChanges(db, parts, before, limit),
      removeCorrections: (before, limit) => removeCorrections(db, before, limit),
      removeClaims: (endedBefore, limit) => removeEndedClaims(db, endedBefore, limit),
      removeTokens: (now, limit) => removeEndedTokens(db, now, limit),
      removeTraces: (userId, limit) => removeTraces(db, parts, userId, limit),
    },
    addressWrites: {
      removeUsers: (users, by) => removeUsers(db, parts.saveChanges, users, by),
      removeAddresses: (addresses) => removeAddresses(db, addresses),
    },
  } satisfies MethodGroups<UpkeepWriter>
}
