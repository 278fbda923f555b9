import { type Kysely, sql } from 'kysely'
import { abandonment, type Settlement } from '#core/settlement.ts'
import type { Vault } from '#core/vault.ts'
import { doApart } from '#lib/apart.ts'
import { holdAgain } from '#storage/schema/held-key.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { MeteringStore, OpenedEntries } from '#storage/store/metering.ts'

/**
 * Decides which process answers for an open entry. An entry of a relay belongs to its process, which shows by a
 * heartbeat that it is alive. An entry that was reserved for another gateway has a lease, which that gateway renews.
 */
export interface Owners {
  readonly reads: Pick<OpenedEntries, 'openEntries'>
  readonly writes: Pick<MeteringStore, 'beat' | 'renewLease'>
  /**
   * Call it at the start of the only process that can use the database: every other owner of an open entry is dead.
   */
  readonly outliveAll: (now: number) => Promise<void>
  /** Marks this process as stopped: its open entries may be closed by any process at once. */
  readonly leave: () => Promise<void>
  /**
   * Closes some of the open entries that no instance will settle any more, and answers how many. `seenBefore` is by
   * the clock of the heartbeats. An entry that cannot be closed is passed over until `takeFaults` has reported it.
   */
  readonly abandonSome: (
    now: number,
    seenBefore: number,
    books: {
      readonly book: (settlements: readonly Settlement[]) => Promise<unknown>
      readonly isFault: (error: unknown) => boolean
    },
  ) => Promise<number>
  /** The entries that could not be closed since the last call. */
  readonly takeFaults: () => readonly EntryFault[]
  /** Deletes processes whose last heartbeat is long past `seenBefore` and that have no open entry left. */
  readonly forgetDead: (seenBefore: number) => Promise<void>
}

const abandonedAtOnce = 500
/** A frozen process may wake, open an entry and die before its next heartbeat: its row must still exist then. */
const rememberedMs = 600_000

/** An entry that cannot be read or written. */
export interface EntryFault {
  readonly id: string
  readonly error: unknown
}

/** A literal, so that the planner uses the partial indexes over open entries. */
const isOpen = sql<boolean>`state = 'open'`

/** @param instance this process, which is alive whatever the table says */
export function createOwners(db: Kysely<Schema>, instance: string, vault: Vault): Owners {
  const faults = new Map<string, unknown>()

  return {
    async outliveAll(now) {
      await addOwnersWithoutHeartbeat(db)
      await db.updateTable('instances').set({ seen_at: 0 }).where('id', '<>', instance).execute()
      await beat(db, { instance, vault, now })
    },

    async leave() {
      await db.updateTable('instances').set({ seen_at: 0 }).where('id', '=', instance).execute()
    },

    async abandonSome(now, seenBefore, { book, isFault }) {
      for (;;) {
        const limit = abandonedAtOnce + faults.size
        const found = await ownerless(db, dead(db, instance, seenBefore), now, limit)
        const ids = found.filter((id) => !faults.has(id)).slice(0, abandonedAtOnce)
        if (ids.length === 0) return 0
        const before = faults.size
        const close = async (some: readonly string[]) => void (await book(some.map(abandonment)))
        await doApart(ids, close, isFault, (id, error) => void faults.set(id, error))
        const closed = ids.length - (faults.size - before)
        if (closed > 0) return closed
      }
    },

    takeFaults() {
      const taken = [...faults].map(([id, error]) => ({ id, error }))
      faults.clear()
      return taken
    },

    forgetDead: (seenBefore) => forget(db, dead(db, instance, seenBefore - rememberedMs)),
    reads: { openEntries: () => openEntriesOf(db, instance) },
    writes: {
      beat: (now) => beat(db, { instance, vault, now }),
      renewLease: (requestId, leaseUntil) => renewLease(db, requestId, leaseUntil),
    },
  }
}

/** The ids of all other instances whose last heartbeat is not after `seenBefore`. */
function dead(db: Kysely<Schema>, instance: string, seenBefore: number) {
  return db
    .selectFrom('instances')
    .select('id')
    .where('id', '<>', instance)
    .where('seen_at', '<=', seenBefore)
}

/** The ids of open entries whose lease is over, or whose instance is dead; up to `limit` of each. */
async function ownerless(
  db: Kysely<Schema>,
  instances: ReturnType<typeof dead>,
  now: number,
  limit: number,
): Promise<readonly string[]> {
  const leased = await db
    .selectFrom('entries')
    .select('id')
    .where(isOpen)
    .where('lease_until', '<=', now)
    .limit(limit)
    .execute()
  const left = await db
    .selectFrom('entries')
    .select('id')
    .where(isOpen)
    .where('instance', 'in', instances)
    .limit(limit)
    .execute()
  return [...leased, ...left].map(({ id }) => id)
}

/** Says as well with which key the process writes; in this order, see `tollgate rekey`. */
async function beat(
  db: Kysely<Schema>,
  { instance, vault, now }: { readonly instance: string; readonly vault: Vault; readonly now: number },
): Promise<void> {
  const seen = { seen_at: now, master_key: vault.fingerprint }
  await db
    .insertInto('instances')
    .values({ id: instance, started_at: now, ...seen })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(seen))
    .execute()
  await holdAgain(db, vault)
}

/** Makes a row for each owner of an open entry that has none: older versions wrote no heartbeat. */
async function addOwnersWithoutHeartbeat(db: Kysely<Schema>): Promise<void> {
  const opened = await db
    .selectFrom('entries')
    .select('instance')
    .distinct()
    .where(isOpen)
    .where('lease_until', 'is', null)
    .execute()
  for (const { instance: id } of opened) {
    const row = { id, started_at: 0, seen_at: 0 }
    await db
      .insertInto('instances')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}

/** Deletes these instances, as far as they have no open entry. */
async function forget(db: Kysely<Schema>, instances: ReturnType<typeof dead>): Promise<void> {
  await db
    .deleteFrom('instances')
    .where('id', 'in', instances)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('entries')
            .select('entries.id')
            .where(isOpen)
            .whereRef('entries.instance', '=', 'instances.id'),
        ),
      ),
    )
    .execute()
}

async function openEntriesOf(db: Kysely<Schema>, instance: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('entries')
    .select('id')
    .where(isOpen)
    .where('instance', '=', instance)
    .execute()
  return rows.map(({ id }) => id)
}

async function renewLease(
  db: Kysely<Schema>,
  requestId: string,
  leaseUntil: number,
): Promise<'renewed' | 'closed' | 'unknown'> {
  const { numUpdatedRows } = await db
    .updateTable('entries')
    .set({ lease_until: leaseUntil })
    .where('id', '=', requestId)
    .where(isOpen)
    .where('lease_until', 'is not', null)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return 'renewed'
  const entry = await db.selectFrom('entries').select('id').where('id', '=', requestId).executeTakeFirst()
  return entry ? 'closed' : 'unknown'
}
