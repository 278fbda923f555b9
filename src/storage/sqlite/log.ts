import { createLane, type Lane } from '#lib/lane.ts'
import type { BackgroundWork } from './background.ts'
import type { Disk } from './disk.ts'
import type { Thread } from './thread.ts'
import type { WriterWork } from './writer.ts'

/**
 * The write-ahead log is moved into the database by the lane, which holds the right to write: after each write, from
 * any caller and of any size, it looks at the log's file. As a rule it is moved beside the writers, who are held up only
 * while it begins anew; one that has grown too large holds them up until it is empty.
 */
export interface KeptLog {
  /** Every write goes through here. */
  readonly lane: Lane
  readonly close: () => Promise<void>
}

const megabyte = 1_000_000
/** From here on it is moved beside the writers. */
const moveBytes = 32 * megabyte
/** From here on nothing is written until it is empty, so that it never comes to 64 MB but by a single transaction. */
const holdBytes = 48 * megabyte
/** When little is written, it is not left larger than this. */
const quietBytes = 15.5 * megabyte
const quietMs = 250
/** Turns of the lane in that time. */
const quietTurns = 60
/** A reader who stays keeps the log from being emptied; so long until the next try, and twice as long each time. */
const firstPinMs = 250
const lastPinMs = 4_000

export function keepLog(parts: {
  readonly writer: Thread<WriterWork>
  readonly background: Thread<BackgroundWork>
  readonly logDisk: Disk
  /** Of the database's own file. */
  readonly databaseDisk: Disk
}): KeptLog {
  const { writer, background, logDisk, databaseDisk } = parts
  const turns = createLane()
  let moving: Promise<void> | undefined
  let quiet: NodeJS.Timeout | undefined
  let turnsTaken = 0
  let pinMs = 0
  let pinnedUntil = 0
  let isClosed = false

  /** Answers whether all of it was moved: then only those who read it now keep it from beginning anew. */
  async function moveBeside(): Promise<boolean> {
    const { pages, moved } = await background.run('checkpoint')
    return moved >= pages
  }

  async function move(how: 'restart' | 'truncate'): Promise<void> {
    await moveBeside()
    // One that does not come to the log's end syncs nothing, and the one that does would wait for all of it.
    await databaseDisk.sync()
    // What came while that was moved: the less is left, the shorter everybody waits.
    const isMoved = await moveBeside()
    if (!isMoved) return pin()
    await databaseDisk.sync()
    await turns.run(() => empty(how))
  }

  /** While no write runs. */
  async function empty(how: 'restart' | 'truncate'): Promise<void> {
    if (await writer.run('emptyLog', how)) pinMs = 0
    else pin()
  }

  async function emptyHeld(): Promise<void> {
    if (await moveBeside()) await empty('restart')
    else pin()
  }

  function pin(): void {
    pinMs = Math.min(Math.max(firstPinMs, pinMs * 2), lastPinMs)
    pinnedUntil = performance.now() + pinMs
  }

  function start(how: 'restart' | 'truncate'): void {
    moving ??= move(how)
      // The next write looks again.
      .catch(pin)
      .finally(() => {
        moving = undefined
      })
  }

  /** After each turn of the lane, still in it. What is answered is to be waited for before the next. */
  function look(): Promise<void> | undefined {
    if (isClosed) return undefined
    turnsTaken += 1
    const bytes = logDisk.size()
    if (bytes <= quietBytes) return undefined
    quiet ??= setTimeout(lookWhenQuiet, quietMs, turnsTaken).unref()
    if (bytes <= moveBytes || performance.now() < pinnedUntil) return undefined
    if (bytes > holdBytes && pinMs === 0) return emptyHeld().catch(pin)
    start('restart')
    return undefined
  }

  function lookWhenQuiet(turnsBefore: number): void {
    quiet = undefined
    if (logDisk.size() <= quietBytes) return
    quiet = setTimeout(lookWhenQuiet, Math.max(quietMs, pinMs), turnsTaken).unref()
    if (turnsTaken - turnsBefore <= quietTurns && performance.now() >= pinnedUntil) start('truncate')
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
      clearTimeout(quiet)
      await moving
    },
  }
}
