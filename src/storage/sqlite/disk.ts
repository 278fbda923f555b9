import { closeSync, fdatasync, fstatSync, openSync } from 'node:fs'

/**
 * Syncs commits to disk without blocking the thread that made them. A commit without a sync is held by the operating
 * system and survives the process; the sync makes it survive a power loss.
 */
export interface Disk {
  /** Resolves when everything that was written before the call is on disk. */
  readonly sync: () => Promise<void>
  /** The same without a promise: syncs after some milliseconds at the latest, or together with the next `sync`. */
  readonly syncSoon: () => void
  /** The file's current size in bytes. A call costs a microsecond or two. */
  readonly size: () => number
  readonly close: () => void
}

const soonMs = 10

/** @param path the write-ahead log of an open database */
export function openDisk(path: string): Disk {
  const file = openSync(path, 'r')
  let running: Promise<void> | undefined
  let following: Promise<void> | undefined
  let soon: NodeJS.Timeout | undefined

  function start(): Promise<void> {
    clearTimeout(soon)
    soon = undefined
    const sync = new Promise<void>((resolve, reject) => {
      fdatasync(file, (error) => (error ? reject(error) : resolve()))
    })
    running = sync.finally(() => {
      running = undefined
    })
    // Callers that await the sync get its failure; otherwise the rejection must not end the process.
    running.catch(() => undefined)
    sync.catch(() => undefined)
    return sync
  }

  function sync(): Promise<void> {
    if (!running) return start()
    // A running sync may have started before the latest write. All callers that arrive meanwhile share the next one.
    following ??= running
      .catch(() => undefined)
      .then(() => {
        following = undefined
        return start()
      })
    following.catch(() => undefined)
    return following
  }

  return {
    sync,
    syncSoon() {
      soon ??= setTimeout(() => void sync(), soonMs)
    },
    size: () => fstatSync(file).size,
    close() {
      clearTimeout(soon)
      closeSync(file)
    },
  }
}
