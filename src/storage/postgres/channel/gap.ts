/** Well within the second in which a disabled user's streams have to end. */
const pollMs = 400

/** While notifications may be missed, reports that again and again, and once more when they arrive again. */
export interface Gap {
  readonly begin: () => void
  readonly end: () => void
  /** Reports nothing any more. */
  readonly close: () => void
}

export function createGap(report: () => void): Gap {
  let poll: NodeJS.Timeout | undefined
  return {
    begin() {
      poll ??= setInterval(report, pollMs)
    },
    end() {
      if (!poll) return
      clearInterval(poll)
      poll = undefined
      // Notifications that were sent just before this were not received.
      report()
    },
    close: () => clearInterval(poll),
  }
}
