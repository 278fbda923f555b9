import type { DatabaseSync } from 'node:sqlite'
import { createLane, type Lane } from '#lib/lane.ts'
import { integer } from '#storage/schema/columns.ts'
import type { BackgroundWork } from '#storage/sqlite/threads/background.ts'
import type { Thread } from '#storage/sqlite/threads/thread.ts'
import type { WriterWork } from '#storage/sqlite/threads/writer.ts'
import type { Disk } from './disk.ts'

/**
 * Keeps the write-ahead log small by checkpoints. The lane that serializes all writes checks the log's size after
 * each write, from any caller and of any size. Normally the checkpoint runs beside the writers, which wait only while
 * the log restarts. A log that has grown too large stops them until it is empty.
 *
 * The log restarts long before its file is full, so the file neither grows nor is truncated: a sync takes 0.8 ms
 * within existing space, and 1.8 ms where the file grows.
 */
export interface KeptLog {
  /** Every write goes through this lane. */
  readonly lane: Lane
  readonly close: () => Promise<void>
}

const megabyte = 1_000_000
/** Above this size a checkpoint runs beside the writers, which meanwhile use the rest of the file. */
const moveBytes = 10 * megabyte
/** The size of the file after a restart of the log, for all connections that write (`journal_size_limit`). */
export const fileBytes = 15 * megabyte
/** Above this size writers wait until the log is empty: only a single transaction can bring it to 64 MB. */
const holdBytes = 48 * megabyte
/**
 * Reading the size costs some microseconds, and a batch writes little: what is written in this time is far below the
 * bounds.
 */
const lookEveryMs = 10
/**
 * A long reader keeps the log from restarting. The first retry comes after this time, each next one after twice as
 * long.
 */
const firstPinMs = 250
const lastPinMs = 4_000

interface LogParts {
  readonly writer: Thread<WriterWork>
  readonly background: Thread<BackgroundWork>
  /** What the log holds now, in bytes; its file may be larger. */
  readonly logBytes: () => number
  readonly logDisk: Disk
  /** The database's own file. */
  readonly databaseDisk: Disk
}

export function keepLog(parts: LogParts): KeptLog {
  const { logBytes } = parts
  const turns = createLane()
  const steps = createSteps(parts)
  let moving: Promise<void> | undefined
  let pinMs = 0
  let pinned: NodeJS.Timeout | undefined
  let isClosed = false
  let nextLookAt = 0

  async function move(): Promise<void> {
    if (!(await steps.moveNearlyAll())) return pin()
    await turns.run(empty)
  }

  /** Called while no write runs. */
  async function empty(): Promise<void> {
    if (!(await steps.restart())) return pin()
    pinMs = 0
    await steps.cut()
  }

  async function emptyHeld(): Promise<void> {
    if (await steps.moveBeside()) await empty()
    else pin()
  }

  /** Schedules a retry that needs no further write. */
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

  /** Called after each turn of the lane, still within it. The next turn has to await the returned promise. */
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
    lane: laneWith(turns, look),
    async close() {
      isClosed = true
      clearTimeout(pinned)
      await moving
    },
  }
}

/** @param after called when a piece of work has ended, still in its turn */
function laneWith(turns: Lane, after: () => Promise<void> | undefined): Lane {
  return {
    run: (work) =>
      turns.run(async () => {
        try {
          return await work()
        } finally {
          const held = after()
          if (held) await held
        }
      }),
  }
}

/** What a checkpoint consists of. */
function createSteps({ writer, background, logDisk, databaseDisk }: LogParts) {
  /** Answers whether the whole log is checkpointed: then only current readers keep it from restarting. */
  async function moveBeside(): Promise<boolean> {
    const { pages, moved } = await background.run('checkpoint')
    return moved >= pages
  }

  return {
    moveBeside,

    /** Beside the writers. Answers whether what is left is little, so that they wait only shortly for the rest. */
    async moveNearlyAll(): Promise<boolean> {
      await moveBeside()
      // A checkpoint that does not reach the log's end does not sync, and the one that does would have to sync
      // everything.
      await databaseDisk.sync()
      // A second checkpoint for what arrived meanwhile: the less is left, the shorter the writers wait.
      if (!(await moveBeside())) return false
      await databaseDisk.sync()
      return true
    },

    /** Moves the rest and lets the log begin anew; no write may run meanwhile. Answers whether it could. */
    restart: () => writer.run('emptyLog'),

    /** Cuts the log's file where it has grown; no write may run meanwhile. */
    async cut(): Promise<void> {
      if (logDisk.size() > fileBytes + megabyte / 2) await writer.run('cutLog')
    },
  }
}

/** @param db any connection to the database: reading the log's size takes no lock, and about 3 microseconds */
export function createLogBytes(db: DatabaseSync): () => number {
  const pageBytes = integer(db.prepare('pragma page_size').get()?.page_size) + frameHeaderBytes
  const state = db.prepare('pragma wal_checkpoint(noop)')
  return () => integer(state.get()?.log) * pageBytes
}

/** The header of each page in the log (SQLite's file format, section 4.1). */
const frameHeaderBytes = 24
