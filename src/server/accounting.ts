import { openLedger } from '#metering/batcher.ts'
import { type Heartbeat, openHeartbeat, silentMsDefault } from '#metering/heartbeat.ts'
import { createInputCorrections, type InputCorrections } from '#metering/input-corrections.ts'
import { openInputExchange } from '#metering/input-exchange.ts'
import { journalPathIn, openJournal, replayJournals, replaySetAside } from '#metering/journal.ts'
import type { Ledger } from '#metering/ledger.ts'
import { createRecovery } from '#metering/recovery.ts'
import {
  idOf,
  type Kept,
  openSetAside,
  type SetAside,
  setAsidePathIn,
  takeSetAside,
} from '#metering/set-aside.ts'
import { openUpkeep } from '#metering/upkeep.ts'
import type { Foundation } from './foundation.ts'

export interface Accounting {
  readonly ledger: Ledger
  readonly heartbeat: Heartbeat
  readonly corrections: InputCorrections
}

/**
 * Books what earlier processes left, and opens what keeps the account: the ledger, the heartbeat, the upkeep, the input
 * corrections.
 */
export async function openAccounting(base: Foundation): Promise<Accounting> {
  const { config, instance, store, clock, log, stopper, onFailure } = base
  const setAside = openSetAside(config.dataDir, instance, clock)
  await bookLeftovers(base, setAside)
  const onAbandoned = (entries: number) =>
    log.warn({ entries }, 'charged requests that a stopped process or an ended lease left open')
  const onFault = (id: string, err: unknown) => log.error({ id, err }, 'a request cannot be closed')
  const abandoned = await store.metering.abandonEntries(clock(), silentMsDefault, onFault)
  if (abandoned > 0) onAbandoned(abandoned)
  const ledger = openLedger(store.metering, clock, {
    onFailure(err) {
      onFailure(err)
      void heartbeat.look()
    },
    onFault: (id, err) => log.error({ id, err }, 'one request cannot be booked; others are'),
    journal: openJournal(journalPathIn(config.dataDir, instance)),
    setAside,
    onDisabled: (userId, reason) => log.warn({ userId, reason }, 'a user was disabled by a limit'),
  })
  stopper.add(ledger.close)
  const heartbeat = openHeartbeat(
    { ...store.metering, check: store.check },
    { clock, onBeat: createRecovery(store.metering, ledger, log), onAbandoned, onFault, onFailure },
  )
  stopper.add(heartbeat.close)
  await heartbeat.look()
  const upkeep = openUpkeep(store.upkeep, {
    clock,
    retentionDays: config.ledgerRetentionDays,
    auditDays: config.auditRetentionDays,
    purgeAfterDays: config.purgeAfterDays,
    onDone: (rows) => log.debug({ rows }, 'tidied the ledger'),
    onFailure: (err) => log.error({ err }, 'tidying the ledger failed'),
  })
  stopper.add(upkeep.close)
  const corrections = createInputCorrections()
  const inputs = await openInputExchange(store.corrections, corrections, { clock, onFailure })
  stopper.add(inputs.close)
  return { ledger, heartbeat, corrections }
}

/**
 * Books the journals and set-aside files of earlier processes before entries are marked as abandoned; logs what it has
 * to set aside.
 */
async function bookLeftovers(
  { config: { dataDir }, store: { metering }, log, clock, instance }: Foundation,
  setAside: SetAside,
): Promise<void> {
  async function putAside(kept: Kept, why: unknown): Promise<void> {
    log.error(
      { id: idOf(kept), err: why, file: setAsidePathIn(dataDir, instance) },
      'set aside: it cannot be booked',
    )
    await setAside.add(kept, why)
  }
  const taken = await takeSetAside(dataDir, instance)
  const replayed = await replayJournals(dataDir, metering, clock, putAside)
  if (replayed.settlements > 0) log.info(replayed, 'booked what the journal had kept')
  const booked = await replaySetAside(taken, metering, clock, putAside)
  if (booked > 0) log.info({ booked }, 'booked what had been set aside')
}
