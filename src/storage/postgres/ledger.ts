import type pg from 'pg'
import type { Policy } from '#core/admission.ts'
import type { Vault } from '#core/vault.ts'
import { applyBatch, type MeteringDecisions } from '#storage/ledger/batch.ts'
import type { Values } from '#storage/ledger/rows.ts'
import { createWriteList, type WriteList, type WriteTarget } from '#storage/ledger/write-list.ts'
import { type WriteName, writes } from '#storage/ledger/writes.ts'
import type { MeteringBatch } from '#storage/store/metering.ts'
import type { SavedChanges } from './changes.ts'
import { createChangeSaver } from './changes.ts'
import { createLoad } from './loading.ts'
import { arrayOf, columnsOf } from './many.ts'
import { execute } from './statements.ts'
import { together } from './together.ts'

/**
 * The ledger on PostgreSQL: one batch is one transaction of two round trips. The first locks the batch's users in the
 * order of their ids and reads everything that belongs to them. The second writes what changed and commits. Every
 * change to a user's account, here or by an administrator, is made under the lock of the user's row.
 */
export interface PostgresLedger extends Pick<WriteList, 'forgetAddresses' | 'listModels'> {
  /**
   * The first round trip: begins the transaction, locks, reads and decides. It returns the second one, which writes
   * and commits. Where the second fails without an answer, the batch may have been committed; before it nothing has
   * been.
   */
  readonly begin: (client: pg.Client, batch: MeteringBatch) => Promise<() => Promise<MeteringDecisions>>
}

/** The rows of each total are split into shards, so that instances do not wait for each other's locks. */
const shards = 1024

/** @param settings.shard the shard of the totals that this instance writes to */
export function createPostgresLedger(
  vault: Vault,
  policy: Policy,
  settings: { readonly instance: string; readonly shard: number },
): PostgresLedger {
  const load = createLoad(vault, policy)
  const prepareChanges = createChangeSaver(vault)
  const { writeTo, forgetAddresses, listModels } = createWriteList(
    policy,
    settings.instance,
    settings.shard % shards,
  )

  return {
    async begin(client, batch) {
      const { state, users, below } = await load(client, batch)
      const { decisions, changes } = applyBatch(batch, state, policy)
      return async () => {
        try {
          const blocked =
            changes.blocked.length > 0 ? await prepareChanges(client, changes.blocked) : noChanges
          await write(client, blocked, (target) => writeTo(target, changes, users, below, batch.now))
        } catch (error) {
          forgetAddresses()
          throw error
        }
        return decisions
      }
    },
    forgetAddresses,
    listModels,
  }
}

const noChanges: SavedChanges = () => []

/** All writes are sent at once, and the commit behind them: none depends on another's answer. */
function write(
  client: pg.Client,
  saveChanges: SavedChanges,
  writeTo: (target: WriteTarget) => void,
): Promise<unknown> {
  const rows = new Map<WriteName, Values[]>()
  const strangers = new Set<string>()
  const gather = (name: WriteName, row: Values) => {
    const known = rows.get(name)
    if (known) known.push(row)
    else rows.set(name, [row])
  }
  writeTo({
    write: gather,
    writeAddress({ userId, address, due }, now) {
      gather('address', [userId, address, now, now])
      if (due === 'new') strangers.add(userId)
    },
  })
  // Nothing is sent before every statement has been built.
  const built = [...rows].map(
    ([name, those]) => [name, columnsOf(those, writes[name].columns.length)] as const,
  )
  return together([
    ...built.map(([name, values]) => execute(client, name, values)),
    ...(strangers.size > 0 ? [execute(client, 'trim', [arrayOf([...strangers])])] : []),
    ...saveChanges(),
    client.query('commit'),
  ])
}
