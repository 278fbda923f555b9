import type { DatabaseSync } from 'node:sqlite'
import type { Policy } from '#core/admission.ts'
import { addressesMax } from '#core/user-edit.ts'
import { digestLookupsOf, type Vault } from '#core/vault.ts'
import { createSecretMemo } from '#lib/secret-memo.ts'
import { isRecent } from '#storage/ledger/address-book.ts'
import { applyBatch, type MeteringDecisions } from '#storage/ledger/batch.ts'
import type { LedgerChanges } from '#storage/ledger/changes.ts'
import type { OpenEntry } from '#storage/ledger/state.ts'
import {
  createWriteList,
  type DueAddress,
  type WriteList,
  type WriteTarget,
} from '#storage/ledger/write-list.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { MeteringBatch } from '#storage/store/metering.ts'
import { type CachedUser, createCachedUsers } from './cached-users.ts'
import { createChangeSaver } from './changes.ts'
import { createState } from './loading.ts'
import { oneRow } from './rows.ts'
import { prepareAll } from './statements.ts'

/**
 * The ledger on SQLite: loads what a batch is about, lets `applyBatch` decide, executes the list of writes; one
 * transaction, one sync to disk. Rows are read one by one through prepared statements, which costs less here
 * than one large statement, since there is no round trip to save.
 */
export interface SqliteLedger extends Pick<WriteList, 'forgetAddresses' | 'listModels'> {
  readonly runBatch: (batch: MeteringBatch) => MeteringDecisions
}

/** There is one writer at a time, so the totals have one shard. */
const shard = 0

export function createSqliteLedger(
  db: DatabaseSync,
  vault: Vault,
  policy: Policy,
  { instance, onChanges }: { readonly instance: string; readonly onChanges: () => void },
): SqliteLedger {
  const sql = prepareAll(db)
  const { writeTo, forgetAddresses, listModels } = createWriteList(policy, instance, shard)

  /**
   * Entries that this process opened and has not closed yet, and that no other process may have changed. A settlement
   * of one of them needs no look-up.
   */
  const open = new Map<string, OpenEntry>()

  const cached = createCachedUsers()
  const lookups = {
    lookups: createSecretMemo(vault.lookupOf),
    otherLookupOf: vault.otherLookupOf,
    digests: createSecretMemo((accessToken) => digestLookupsOf(vault, accessToken)),
    hasDigests: () => (anyDigest ??= oneRow(sql.anyTokenDigest) !== undefined),
  }
  const saveChanges = createChangeSaver(db, vault)
  let version: unknown
  /** Whether any access token is known by its SHA-256 alone; undefined until it is asked after another's write. */
  let anyDigest: boolean | undefined
  /** Every request with an id below it stands in the table by user. */
  let below = ''
  const target: WriteTarget = { write: (name, row) => sql.writes[name].run(...row), writeAddress }

  function runBatch(batch: MeteringBatch): MeteringDecisions {
    const loaded = createState(sql, lookups, open, cached, batch.now)
    db.exec('begin immediate')
    try {
      forgetWhatOthersWrote()
      const { decisions, changes } = applyBatch(batch, loaded.state, policy)
      const users = [...loaded.users()]
      writeTo(target, changes, users.map(userOf), below, batch.now)
      if (changes.blocked.length > 0) saveChanges(changes.blocked)
      db.exec('commit')
      remember(open, changes, batch.now)
      for (const user of users) cached.keep(user)
      if (changes.blocked.length > 0) onChanges()
      return decisions
    } catch (error) {
      cached.forget()
      if (db.isTransaction) db.exec('rollback')
      forgetAddresses()
      throw error
    }
  }

  /** Inside the transaction, so that no other connection writes between this check and the reads. */
  function forgetWhatOthersWrote(): void {
    const current = oneRow(sql.version)?.[0]
    if (current !== version) {
      cached.forget()
      open.clear()
      anyDigest = undefined
      below = text(oneRow(sql.below)?.[0] ?? '')
    }
    version = current
  }

  function writeAddress({ userId, address, due }: DueAddress, now: number): void {
    if (due === 'new') {
      // After a restart or an administrator's edit the memory is empty, but the address may be stored.
      const row = oneRow(sql.address, userId, address)
      if (row !== undefined && isRecent(integer(row[0]), now)) return
    }
    cached.forgetAddressesOf(userId)
    sql.writes.address.run(userId, address, now, now)
    if (due === 'new' && integer(oneRow(sql.countAddresses, userId)?.[0]) > addressesMax)
      sql.trimAddresses.run(userId, addressesMax)
  }

  return { runBatch, forgetAddresses, listModels }
}

const userOf = ({ user }: CachedUser) => user

function remember(open: Map<string, OpenEntry>, changes: LedgerChanges, now: number): void {
  for (const { ask, userId, frontEndId, family, model, hold, inputEstimate } of changes.opened) {
    const { requestId, isMetered, leaseUntil } = ask
    // An entry with a lease can be abandoned by another process at any time: it is not cached.
    if (leaseUntil !== undefined) continue
    open.set(requestId, {
      id: requestId,
      userId,
      family,
      model,
      isMetered,
      hold,
      inputEstimate,
      startedAt: now,
      ...(frontEndId !== undefined && { frontEndId }),
    })
  }
  for (const { entry } of changes.closed) open.delete(entry.id)
}
