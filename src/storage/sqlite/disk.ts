import { closeSync, fdatasync, fstatSync, openSync } from 'node:fs'

/**
 * Puts what was committed on the disk without stopping the thread that committed it. A commit without a sync is
 * in the operating system's hands, and survives the process; this makes it survive the power as well.
 */
export interface Disk {
  /** Resolves when everything that was written before the call is on the disk. */
  readonly sync: () => Promise<void>
  /** The same for what nobody waits for: at the latest after some milliseconds, with the next sync if one comes. */
  readonly syncSoon: () => void
  /** Of the file now, in bytes. A look costs a microsecond or two. */
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
    // Whoever waits is told; whoever does not must not end the process with its failure.
    running.catch(() => undefined)
    sync.catch(() => undefined)
    return sync
  }

  function sync(): Promise<void> {
    if (!running) return start()
    // One that already runs may have passed what was written since; all who come meanwhile share the next.
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
