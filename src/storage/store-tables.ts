import type { Kysely, Transaction } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { Vault } from '#core/vault.ts'
import { createAdminKeyTable } from '#storage/admin-keys/table.ts'
import { createBulkTable } from '#storage/bulk/table.ts'
import { createChangeTable } from '#storage/changes/table.ts'
import { createChangeWriter } from '#storage/changes/write.ts'
import { createClaimTable } from '#storage/claims/table.ts'
import { createFrontEndTable } from '#storage/front-ends/table.ts'
import { createOwners } from '#storage/ledger/owners.ts'
import { createEntryReader } from '#storage/ledger/read.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { createSecondFactorTable } from '#storage/second-factors/table.ts'
import { createSessionTable } from '#storage/sessions/table.ts'
import { createUpkeepFinder } from '#storage/upkeep/find.ts'
import { createUpkeep } from '#storage/upkeep/sweep.ts'
import { createUpkeepWriter } from '#storage/upkeep/write.ts'
import { createCorrectionTable } from '#storage/usage/corrections.ts'
import { createUsageReader } from '#storage/usage/read.ts'
import { createUserReader } from '#storage/users/read.ts'
import { createUserWriter, createUserWriting } from '#storage/users/write.ts'
import type { ManyRows } from './many-rows.ts'
import type { MethodsOf } from './methods.ts'
import type { Store } from './store.ts'

export interface TableParts {
  readonly db: Kysely<Schema>
  readonly many: ManyRows
  readonly vault: Vault
  readonly policy: Policy
  /** The name of this process in the ledger. */
  readonly instance: string
  /** Tells other processes, when the transaction commits, that there are changes. */
  readonly wake?: (trx: Transaction<Schema>) => Promise<void>
  /** The connection on which upkeep writes, where it is another one. */
  readonly upkeepDb?: Kysely<Schema>
  /** The age in milliseconds of the oldest rows that are written but cannot be read yet. */
  readonly unreadMs?: (db: Kysely<Schema>) => Promise<number>
}

/** All tables behind the store, for one engine and one connection. */
export function createTables(parts: TableParts) {
  const { db, many, vault, policy, instance, wake, upkeepDb = db, unreadMs } = parts
  const saveChanges = createChangeWriter(vault, many, wake)
  return {
    users: {
      ...createUserReader(db, many, vault, policy),
      ...createUserWriter({ ...parts, saveChanges }),
    },
    bulk: createBulkTable(db, saveChanges),
    changes: createChangeTable(db, vault, saveChanges),
    adminKeys: createAdminKeyTable(db, vault, saveChanges),
    sessions: createSessionTable(db, vault, saveChanges),
    secondFactors: createSecondFactorTable(db, vault, saveChanges),
    claims: createClaimTable({ db, many, vault, instance, saveChanges }),
    frontEnds: createFrontEndTable(db, createUserWriting({ ...parts, saveChanges })),
    owners: createOwners(db, instance, vault),
    upkeep: {
      ...createUpkeepFinder(db, policy),
      ...createUpkeepWriter(upkeepDb, { many, vault, saveChanges }, unreadMs),
    },
    corrections: createCorrectionTable(db),
    usage: createUsageReader(db, policy),
    requests: createEntryReader(db),
  }
}

export type StoreMethods = MethodsOf<ReturnType<typeof createTables>>

/** The part of the store that is the same on each engine, which runs the methods. */
export function storeOf({
  users,
  changes,
  bulk,
  adminKeys,
  sessions,
  secondFactors,
  claims,
  frontEnds,
  upkeep,
  corrections,
  usage,
  requests,
}: StoreMethods): Pick<
  Store,
  | 'users'
  | 'changes'
  | 'bulk'
  | 'adminKeys'
  | 'sessions'
  | 'secondFactors'
  | 'claims'
  | 'frontEnds'
  | 'upkeep'
  | 'corrections'
  | 'usage'
  | 'requests'
> {
  return {
    ...{ changes, bulk, adminKeys, sessions, secondFactors, claims, frontEnds, corrections, usage, requests },
    upkeep: createUpkeep(upkeep, upkeep),
    users: {
      ...users,
      async resetUsage(request, by) {
        const { ids, ...more } = await users.findUsedUsers(request)
        const count = ids.length === 0 ? 0 : await users.resetUsers(ids, request.families, by)
        return { users: count, ...more }
      },
      async disableUser(ref, reason, by) {
        const disabled = await users.disable(ref, reason, by)
        return disabled?.kind === 'unreadable' ? users.findKnown(disabled.id, by.now) : disabled?.user
      },
    },
  }
}
