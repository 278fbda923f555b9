import { type FileHandle, mkdir, open, readdir, readFile, truncate, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '#core/clock.ts'
import type { MeteringStore, Settlement } from '#storage/store.ts'

/**
 * Settlements that the store could not take, on this machine's disk until it can: one line of JSON each. They hold
 * figures and ids, no secret. A settlement closes its entry once, so that one which is in both places does no harm.
 */
export interface Journal {
  /** Resolves when they are on the disk. */
  readonly append: (settlements: readonly Settlement[]) => Promise<void>
  /** To be called when everything in it is booked. */
  readonly clear: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Opens the journal at `path`, which is made, as is its folder, with the first settlement that it has to keep. */
export function openJournal(path: string): Journal {
  let file: FileHandle | undefined
  // One after the other, in the order of the calls: what is cleared was there before.
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined)
    return turn
  }
  return {
    append: (settlements) =>
      inTurn(async () => {
        file ??= await make(path)
        await file.write(settlements.map((settlement) => `${JSON.stringify(settlement)}\n`).join(''))
        await file.datasync()
      }),
    clear: () =>
      inTurn(async () => {
        await file?.truncate(0)
      }),
    close: () =>
      inTurn(async () => {
        if (!file) return
        const { size } = await file.stat()
        await file.close()
        file = undefined
        if (size === 0) await unlink(path)
      }),
  }
}

/** Where the account is on a server, nothing else may ever have needed the folder. */
async function make(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return open(path, 'a', 0o600)
}

/** Each process has a journal of its own, since several may share a folder. */
export function journalPathIn(folder: string, instance: string): string {
  return join(folder, `settlements-${instance}.journal`)
}

/** Paths of all that are in a folder, whoever left them. */
export async function journalsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => name.endsWith('.journal')).map((name) => join(folder, name))
}

const replayedAtOnce = 256

export interface Replayed {
  readonly settlements: number
  /** Lines that are no settlement; a crash in the middle of writing leaves one at most. */
  readonly unreadable: number
}

/** Books what all journals in a folder hold: those of processes that are dead, and no harm to one that lives. */
export async function replayJournals(folder: string, store: MeteringStore, clock: Clock): Promise<Replayed> {
  let [settlements, unreadable] = [0, 0]
  for (const path of await journalsIn(folder)) {
    const replayed = await replayJournal(path, store, clock)
    settlements += replayed.settlements
    unreadable += replayed.unreadable
  }
  return { settlements, unreadable }
}

/**
 * Books what an earlier process left in its journal, before anything is taken for abandoned. Rejects with
 * `StoreUnavailable`, and then everything stays where it is.
 */
export async function replayJournal(path: string, store: MeteringStore, clock: Clock): Promise<Replayed> {
  const lines = (await readIfThere(path)).split('\n').filter((line) => line !== '')
  const settlements = lines.flatMap((line) => parse(line) ?? [])
  for (let from = 0; from < settlements.length; from += replayedAtOnce) {
    const batch = settlements.slice(from, from + replayedAtOnce)
    const { durable } = await store.runBatch({ now: clock(), settlements: batch, asks: [] })
    await durable
  }
  if (lines.length > 0) await truncate(path, 0)
  return { settlements: settlements.length, unreadable: lines.length - settlements.length }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

/** Written by this program and by nobody else, so that a line which is whole is right. */
function parse(line: string): Settlement | undefined {
  try {
    const settlement: Settlement = JSON.parse(line)
    return typeof settlement.requestId === 'string' ? settlement : undefined
  } catch {
    return undefined
  }
}
