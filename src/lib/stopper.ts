/**
 * Collects what is opened and closes it in reverse order. A close that fails does not keep the others from being
 * closed; the first failure is thrown at the end.
 */
export interface Stopper {
  readonly add: (close: () => Promise<void> | void) => void
  readonly stop: () => Promise<void>
}

export function createStopper(): Stopper {
  const closes: (() => Promise<void> | void)[] = []
  return {
    add: (close) => closes.push(close),
    async stop() {
      const failures: unknown[] = []
      for (let close = closes.pop(); close; close = closes.pop()) {
        try {
          await close()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}
