import type { DatabaseSync } from 'node:sqlite'
import { createLane, type Lane } from '#lib/lane.ts'
import { integer } from '#storage/schema/columns.ts'
import type { BackgroundWork } from '#storage/sqlite/threads/background.ts'
import type { Thread } from '#storage/sqlite/threads/thread.ts'
import type { WriterWork } from '#storage/sqlite/threads/writer.ts'
import type { Disk } from './disk.ts'

/**
 * The write-ahead log is moved into the database by the lane, which holds the right to write: after each write, from
 * any caller and of any size, it looks at how much the log holds. As a rule it is moved beside the writers, who are
 * held up only while it begins anew; one that has grown too large holds them up until it is empty.
 *
 * It begins anew long before its file is used up, so that the file neither grows nor is cut: a sync takes 0.8 ms where
 * the room is there, and 1.8 ms where the file grows by it.
 */
export interface KeptLog {
  /** Every write goes through here. */
  readonly lane: Lane
  readonly close: () => Promise<void>
}

const megabyte = 1_000_000
/** From here on it is moved beside the writers, who have the rest of the file while that takes. */
const moveBytes = 10 * megabyte
/** The file that stays when the log begins anew, for all who write (`journal_size_limit`). */
export const fileBytes = 15 * megabyte
/** From here on nothing is written until it is empty, so that it never comes to 64 MB but by a single transaction. */
const holdBytes = 48 * megabyte
/** A look costs some microseconds, and a batch of a few requests writes little: what is written in this time is far less than a bound. */
const lookEveryMs = 10
/** A reader who stays keeps the log from beginning anew; so long until the next try, and twice as long each time. */
const firstPinMs = 250
const lastPinMs = 4_000

export function keepLog(parts: {
  readonly writer: Thread<WriterWork>
  readonly background: Thread<BackgroundWork>
  /** What the log holds now, in bytes; its file may be larger. */
  readonly logBytes: () => number
  readonly logDisk: Disk
  /** Of the database's own file. */
  readonly databaseDisk: Disk
}): KeptLog {
  const { writer, background, logBytes, logDisk, databaseDisk } = parts
  const turns = createLane()
  let moving: Promise<void> | undefined
  let pinMs = 0
  let pinned: NodeJS.Timeout | undefined
  let isClosed = false
  let nextLookAt = 0

  /** Answers whether all of it was moved: then only those who read it now keep it from beginning anew. */
  async function moveBeside(): Promise<boolean> {
    const { pages, moved } = await background.run('checkpoint')
    return moved >= pages
  }

  async function move(): Promise<void> {
    await moveBeside()
    // One that does not come to the log's end syncs nothing, and the one that does would wait for all of it.
    await databaseDisk.sync()
    // What came while that was moved: the less is left, the shorter the writers wait.
    const isMoved = await moveBeside()
    if (!isMoved) return pin()
    await databaseDisk.sync()
    await turns.run(empty)
  }

  /** While no write runs. */
  async function empty(): Promise<void> {
    if (!(await writer.run('emptyLog'))) return pin()
    pinMs = 0
    if (logDisk.size() > fileBytes + megabyte / 2) await writer.run('cutLog')
  }

  async function emptyHeld(): Promise<void> {
    if (await moveBeside()) await empty()
    else pin()
  }

  /** It is tried again though nothing more is written. */
  function pin(): void {
    pinMs = Math.min(Math.max(firstPinMs, pinMs * 2), lastPinMs)
    clearTimeout(pinned)
    pinned = setTimeout(() => {
      pinned = undefined
      if (!isClosed && logBytes() > moveBytes) start()
    }, pinMs).unref()
  }

  function start(): void {
    moving ??= move()
      .catch(pin)
      .finally(() => {
        moving = undefined
      })
  }

  /** After each turn of the lane, still in it. What is answered is to be waited for before the next. */
  function look(): Promise<void> | undefined {
    if (isClosed || pinned) return undefined
    const now = performance.now()
    if (now < nextLookAt) return undefined
    nextLookAt = now + lookEveryMs
    const bytes = logBytes()
    if (bytes <= moveBytes) return undefined
    if (bytes > holdBytes && pinMs === 0) return emptyHeld().catch(pin)
    start()
    return undefined
  }

  return {
    lane: {
      run: (work) =>
        turns.run(async () => {
          try {
            return await work()
          } finally {
            const held = look()
            if (held) await held
          }
        }),
    },
    async close() {
      isClosed = true
      clearTimeout(pinned)
      await moving
    },
  }
}

/** @param db any connection to the database: what the log holds is told without a lock, in some 3 microseconds */
export function createLogBytes(db: DatabaseSync): () => number {
  const pageBytes = integer(db.prepare('pragma page_size').get()?.page_size) + frameHeaderBytes
  const state = db.prepare('pragma wal_checkpoint(noop)')
  return () => integer(state.get()?.log) * pageBytes
}

/** SQLite's file format, section 4.1: what stands before each page in the log. */
const frameHeaderBytes = 24
