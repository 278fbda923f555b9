import { type FileHandle, mkdir, readdir, readFile, truncate, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '#core/clock.ts'
import type { Settlement } from '#core/settlement.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import { doApart } from '#lib/apart.ts'
import { createLane } from '#lib/lane.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { StoreFault } from '#storage/store.ts'
import { appendLines, openLines } from './durable-lines.ts'
import { isSettlement, parseSettlement } from './journal-line.ts'
import type { Kept, takeSetAside } from './set-aside.ts'

/**
 * Settlements that the store could not take, kept on this machine's disk until it can: one line of JSON each. They hold
 * figures and ids, no secret. A settlement closes its entry once, so one that is in the journal and in the store does no
 * harm.
 */
export interface Journal {
  /** Resolves when the settlements are on the disk, and rejects where they are not, as on a full one. */
  readonly append: (settlements: readonly Settlement[]) => Promise<void>
  /** Empties the journal; to be called when all that it holds is booked. */
  readonly clear: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Opens the journal at `path`. The file and its folder are created with the first settlement that it has to keep. */
export function openJournal(path: string): Journal {
  let file: FileHandle | undefined
  // The operations run one after the other in the order of the calls, so that `clear` removes only what was written
  // before it.
  const lane = createLane()
  return {
    append: (settlements) =>
      lane.run(async () => {
        file ??= await make(path)
        await appendLines(
          file,
          settlements.map((settlement) => JSON.stringify(settlement)),
        )
      }),
    clear: () =>
      lane.run(async () => {
        await file?.truncate(0)
      }),
    close: () =>
      lane.run(async () => {
        if (!file) return
        const { size } = await file.stat()
        await file.close()
        file = undefined
        if (size === 0) await unlink(path)
      }),
  }
}

/** With a database server the data folder may not exist yet, so it is created here. */
async function make(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return openLines(path)
}

/** Each process has a journal of its own, since several may share a folder. */
export function journalPathIn(folder: string, instance: string): string {
  return join(folder, `settlements-${instance}.journal`)
}

/** The paths of all journals in a folder, of this process and of others. */
export async function journalsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => name.endsWith('.journal')).map((name) => join(folder, name))
}

export interface Replayed {
  readonly settlements: number
  /** Lines that are not a settlement; a crash in the middle of writing leaves one at most. */
  readonly unreadable: number
}

/** Keeps a settlement or event that cannot be booked. */
type PutAside = (kept: Kept, why: unknown) => Promise<void>

const putNowhere: PutAside = () => Promise.resolve()

/**
 * Books what all journals in a folder hold. They are left by dead processes; replaying one of a live process does no
 * harm.
 */
export async function replayJournals(
  folder: string,
  store: MeteringStore,
  clock: Clock,
  putAside: PutAside,
): Promise<Replayed> {
  let [settlements, unreadable] = [0, 0]
  for (const path of await journalsIn(folder)) {
    const replayed = await replayJournal(path, store, clock, putAside)
    settlements += replayed.settlements
    unreadable += replayed.unreadable
  }
  return { settlements, unreadable }
}

/**
 * Books what an earlier process left in its journal, before entries are closed as abandoned. Rejects with
 * `StoreUnavailable`, and then the journal stays as it is. What cannot be booked is set aside.
 */
export async function replayJournal(
  path: string,
  store: MeteringStore,
  clock: Clock,
  putAside: PutAside = putNowhere,
): Promise<Replayed> {
  const lines = (await readIfThere(path)).split('\n').filter((line) => line !== '')
  const settlements: Settlement[] = []
  const unreadable: string[] = []
  for (const line of lines) {
    const settlement = parseSettlement(line)
    if (settlement) settlements.push(settlement)
    else unreadable.push(line)
  }
  for (const line of unreadable) await putAside({ line }, unreadableLine)
  await bookAll(settlements, store, clock, putAside)
  if (lines.length > 0) await truncate(path, 0)
  return { settlements: settlements.length, unreadable: unreadable.length }
}

const unreadableLine = 'the line is not a settlement with figures that can be booked'

/** Tries again to book what was set aside before; returns how many of these are booked now. */
export async function replaySetAside(
  files: Awaited<ReturnType<typeof takeSetAside>>,
  store: MeteringStore,
  clock: Clock,
  putAside: PutAside,
): Promise<number> {
  let booked = 0
  const putAgain: PutAside = (kept, why) => {
    booked -= 1
    return putAside(kept, why)
  }
  for (const { kept, done } of files) {
    booked += kept.length
    const settlements = kept.flatMap((one) =>
      'settlement' in one && isSettlement(one.settlement) ? [one.settlement] : [],
    )
    const events = kept.flatMap((one) => ('event' in one ? [one.event] : []))
    for (const one of kept)
      if ('line' in one || ('settlement' in one && !isSettlement(one.settlement)))
        await putAgain(one, unreadableLine)
    await bookAll(settlements, store, clock, putAgain)
    await countAll(events, store, clock, putAgain)
    await done()
  }
  return booked
}

const replayedAtOnce = 256

async function bookAll(
  settlements: readonly Settlement[],
  store: MeteringStore,
  clock: Clock,
  putAside: PutAside,
): Promise<void> {
  const book = async (batch: readonly Settlement[]) => {
    const { durable } = await store.runBatch({ now: clock(), settlements: batch, asks: [] })
    await durable
  }
  for (const batch of chunksOf(settlements))
    await doApart(batch, book, isFault, (settlement, why) => putAside({ settlement }, why))
}

async function countAll(
  events: readonly UsageEvent[],
  store: MeteringStore,
  clock: Clock,
  putAside: PutAside,
): Promise<void> {
  const count = async (batch: readonly UsageEvent[]) => {
    await store.runBatch({ now: clock(), settlements: [], events: batch, asks: [] })
  }
  for (const batch of chunksOf(events))
    await doApart(batch, count, isFault, (event, why) => putAside({ event }, why))
}

function* chunksOf<T>(items: readonly T[]): Iterable<readonly T[]> {
  for (let from = 0; from < items.length; from += replayedAtOnce)
    yield items.slice(from, from + replayedAtOnce)
}

const isFault = (error: unknown) => error instanceof StoreFault

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
