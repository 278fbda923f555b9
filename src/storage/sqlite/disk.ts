import { closeSync, fdatasync, openSync } from 'node:fs'

/**
 * Puts what was committed on the disk without stopping the thread that committed it. A commit without a sync is
 * in the operating system's hands, and survives the process; this makes it survive the power as well.
 */
export interface Disk {
  /** Resolves when everything that was written before the call is on the disk. */
  readonly sync: () => Promise<void>
  readonly close: () => void
}

/** @param path the write-ahead log of an open database */
export function openDisk(path: string): Disk {
  const file = openSync(path, 'r')
  let running: Promise<void> | undefined
  let following: Promise<void> | undefined

  function start(): Promise<void> {
    const sync = new Promise<void>((resolve, reject) => {
      fdatasync(file, (error) => (error ? reject(error) : resolve()))
    })
    running = sync.finally(() => {
      running = undefined
    })
    running.catch(() => undefined)
    return sync
  }

  return {
    sync() {
      if (!running) return start()
      // One that already runs may have passed what was written since; all who come meanwhile share the next.
      following ??= running
        .catch(() => undefined)
        .then(() => {
          following = undefined
          return start()
        })
      return following
    },
    close: () => closeSync(file),
  }
}
