/** Starts batches while there is something to book, several at a time where the store can. */
export interface Lanes {
  /** To be called when there may be something to book. */
  readonly schedule: () => void
}

/** @param most batches that run at a time */
export function createLanes(
  most: number,
  {
    hasWork,
    runOne,
    onIdle,
  }: {
    readonly hasWork: () => boolean
    readonly runOne: () => Promise<void>
    /** Called when no batch runs. */
    readonly onIdle: () => void
  },
): Lanes {
  let busy = 0
  let isScheduled = false

  async function runAll(): Promise<void> {
    busy += 1
    while (hasWork()) await runOne()
    busy -= 1
    if (busy === 0) onIdle()
  }

  function start(): void {
    isScheduled = false
    void runAll()
  }

  return {
    /**
     * Requests that arrive in the same turn of the event loop share a batch, so the first one waits for the end of the
     * turn.
     */
    schedule() {
      if (busy >= most || isScheduled) return
      isScheduled = true
      setImmediate(start)
    },
  }
}
