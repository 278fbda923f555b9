/**
 * At this many questions a millisecond, a batch waits a millisecond to fill: each transaction and each sync to the disk
 * costs the same for one question as for fifty. At a lower rate a batch does not wait.
 */
const busyPerMs = 6

/** The rate of questions, as a moving average over about ten batches. */
export function createPace() {
  let perMs = 0
  let lastAt = performance.now()
  return {
    isBusy: () => perMs > busyPerMs,
    took(questions: number): void {
      const now = performance.now()
      // Batches at almost the same time would distort the rate, so their distance counts as at least 0.05 ms.
      perMs += (questions / Math.max(0.05, now - lastAt) - perMs) / 10
      lastAt = now
    },
  }
}
