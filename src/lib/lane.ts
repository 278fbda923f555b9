/** Runs pieces of work one after the other, in the order in which they were handed in. */
export interface Lane {
  readonly run: <T>(work: () => Promise<T>) => Promise<T>
}

export function createLane(): Lane {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(work) {
      const done = last.then(work)
      // The next piece of work waits for the end of this one, not for its success.
      last = done.catch(() => undefined)
      return done
    },
  }
}
