import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type { Clock } from '#core/clock.ts'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createStopper } from '#lib/stopper.ts'
import { createAdminKeyTable } from '../admin-keys.ts'
import { holdMasterKey } from '../held-key.ts'
import { abandonedAtOnce, createOwners, toAbandonment } from '../owners.ts'
import type { Schema } from '../schema.ts'
import type { Store, UserStore } from '../store.ts'
import { untilNone } from '../until-none.ts'
import { createUpkeep } from '../upkeep.ts'
import { createUpkeepFinder } from '../upkeep-find.ts'
import { createUpkeepWriter } from '../upkeep-write.ts'
import { createUsageReader } from '../usage-read.ts'
import { findUsedUsers } from '../usage-reset.ts'
import { createUserReader } from '../users-read.ts'
import { createUserWriter } from '../users-write.ts'
import { announceUsers, hearOfUsers, userChannel } from './announce.ts'
import { findDatabase, openPool } from './connect.ts'
import { createPostgresLedger } from './ledger.ts'
import { createListener } from './listen.ts'
import { openPostgresMetering } from './metering.ts'
import { migratePostgres } from './migrate.ts'
import { refuseUnfinished } from './moving.ts'
import { persisting, retrying, retryingWithin } from './retry.ts'
import { createSharedClock } from './shared-clock.ts'
import { createSignals, signalChannel } from './signals.ts'

/** A request waits for no single row longer than for its admission. */
const askedMs = 5_000
/** A balancer wants to know soon. */
const pingMs = 2_000

export interface PostgresSettings {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  readonly masterKey: Uint8Array
  readonly policy: PolicySettings
  readonly instance: string
  /** This machine's clock, where it is not the system's. */
  readonly localClock?: Clock
}

/**
 * PostgreSQL as the store of any number of processes. Metering has a connection of its own, on which one batch
 * follows the other; what the control plane asks shares a few. Every write may be asked for at the same time
 * elsewhere, and is tried again where two stood in each other's way.
 */
export async function openPostgresStore(settings: PostgresSettings): Promise<Store> {
  const stopper = createStopper()
  try {
    return await open(settings, stopper)
  } catch (error) {
    await stopper.stop()
    throw error
  }
}

async function open(settings: PostgresSettings, stopper: ReturnType<typeof createStopper>): Promise<Store> {
  const { url, instance } = settings
  const { pool, close } = openPool(url, { connections: 6, isByKey: false })
  stopper.add(close)
  const upkeepPool = openPool(url, { connections: 1, isByKey: true })
  stopper.add(upkeepPool.close)
  await findDatabase(pool, 'DATABASE_URL')
  await migratePostgres(pool)
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  const vault = createVault(settings.masterKey)
  await persisting(() => holdMasterKey(db, vault.fingerprint))
  const policy = createPolicy(settings.policy)
  const users = createUserReader(db, vault, policy)
  const writer = createUserWriter(db, vault, policy, instance, (trx, ids) => announceUsers(trx, ids))
  const adminKeys = createAdminKeyTable(db, vault)
  const upkeep = createUpkeepWriter(
    new Kysely<Schema>({ dialect: new PostgresDialect({ pool: upkeepPool.pool }) }),
  )
  const owners = createOwners(db, instance)
  const ledger = createPostgresLedger(vault, policy, { instance, shard: shardOf(instance) })
  const metering = openPostgresMetering(url, ledger)
  stopper.add(metering.close)
  const listener = createListener(url, [userChannel, signalChannel])
  stopper.add(listener.close)
  const signals = createSignals(pool, listener, instance)
  stopper.add(signals.close)
  const shared = createSharedClock(db, settings.localClock)
  await owners.beat(await shared.read())
  // Whoever cannot say so is silent soon enough.
  stopper.add(() => retryingWithin(pingMs, () => owners.leave()).catch(() => undefined))
  await refuseUnfinished(pool)

  const usersStore: UserStore = {
    findUser: (ref, now) => retryingWithin(askedMs, () => users.findUser(ref, now)),
    listUsers: (request) => retrying(() => users.listUsers(request)),
    countUsers: (filter, now) => retrying(() => users.countUsers(filter, now)),
    knowsAccessToken: (accessToken) => retryingWithin(askedMs, () => users.knowsAccessToken(accessToken)),
    insertUser: (edit, now, repeat) => retrying(() => writer.insertUser(edit, now, repeat)),
    writeUsers: (writes, now) =>
      retrying(() => writer.writeUsers(writes, now)).finally(ledger.forgetAddresses),
    addToQuota: (ref, addition, now, repeat) => retrying(() => writer.addToQuota(ref, addition, now, repeat)),
    async resetUsage(request, now) {
      const { ids, ...more } = await retrying(() => findUsedUsers(db, request))
      const count = ids.length === 0 ? 0 : await retrying(() => writer.resetUsers(ids, request.families, now))
      return { users: count, ...more }
    },
    disableUser: (ref, reason, now) =>
      retrying(async () => {
        const id = await writer.disableUser(ref, reason, now)
        return id === undefined ? undefined : users.findUser({ id }, now)
      }),
  }

  return {
    users: usersStore,
    adminKeys: {
      findAdminKey: (secret, now) => retryingWithin(askedMs, () => adminKeys.findAdminKey(secret, now)),
      countAdminKeys: () => retrying(() => adminKeys.countAdminKeys()),
      insertAdminKey: (key, now) => retrying(() => adminKeys.insertAdminKey(key, now)),
      listAdminKeys: () => retrying(() => adminKeys.listAdminKeys()),
      deleteAdminKey: (id, now, options) => retrying(() => adminKeys.deleteAdminKey(id, now, options)),
    },
    metering: {
      lanes: metering.lanes,
      runBatch: metering.runBatch,
      // By the database's clock: those of the instances' machines may differ by more than a heartbeat.
      beat: () => retrying(async () => owners.beat(await shared.read())),
      renewLease: (requestId, leaseUntil) => retrying(() => owners.renewLease(requestId, leaseUntil)),
      abandonEntries: (now, silentMs) =>
        untilNone(async () => {
          const seenBefore = (await retrying(() => shared.read())) - silentMs
          const ids = await retrying(() => owners.ownerless(now, seenBefore, abandonedAtOnce))
          if (ids.length === 0) {
            await retrying(() => owners.forgetDead(seenBefore))
            return 0
          }
          // Another instance may be about to do the same: an entry is closed once.
          await metering.runBatch({ now, settlements: ids.map(toAbandonment), asks: [] })
          return ids.length
        }),
    },
    upkeep: createUpkeep(fencedAll(createUpkeepFinder(db, policy)), {
      ...fencedAll(upkeep),
      removeUsers: (expired) => retrying(() => upkeep.removeUsers(expired)).finally(ledger.forgetAddresses),
      removeAddresses: (old) => retrying(() => upkeep.removeAddresses(old)).finally(ledger.forgetAddresses),
    }),
    usage: fencedAll(createUsageReader(db, policy)),
    watchUsers: (onChanged) => hearOfUsers(listener, onChanged),
    signals,
    agreeOnTime: shared.correct,
    ping: () =>
      retryingWithin(pingMs, () => sql`select 1`.execute(db)).then(
        () => true,
        () => false,
      ),
    close: stopper.stop,
  }
}

function shardOf(instance: string): number {
  return createHash('sha256').update(instance).digest().readUInt16BE()
}

/** Every method of it tried again where that helps, and failing as the store does. */
function fencedAll<T extends object>(of: T): T {
  const entries = Object.entries(of).map(
    ([name, method]: [string, (...args: unknown[]) => Promise<unknown>]) => [
      name,
      (...args: unknown[]) => retrying(() => method(...args)),
    ],
  )
  return Object.fromEntries(entries) as T
}
