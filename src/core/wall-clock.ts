/** The wall clock of a time zone: its readings are represented as if they were UTC, in epoch milliseconds. */
export interface WallClock {
  /** Its reading at an instant. */
  readonly wallOf: (at: number) => number
  /** The first instant at which it reads `wall` or later (it may skip it, or show it twice). */
  readonly instantOf: (wall: number) => number
}

/** @param timeZone an IANA name */
export function createWallClock(timeZone: string): WallClock {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })

  function wallOf(at: number): number {
    const read: Record<string, number> = {}
    for (const { type, value } of parts.formatToParts(at)) read[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = read
    return Date.UTC(year, month - 1, day, hour, minute, second)
  }

  function instantOf(wall: number): number {
    const guesses = [wall, wall - 86_400_000, wall + 86_400_000].map((at) => wall - (wallOf(at) - at))
    const exact = guesses.filter((at) => wallOf(at) === wall)
    if (exact.length > 0) return Math.min(...exact)
    // The wall clock jumped over it: the jump itself is the instant. Both sides differ by the jump's length.
    return Math.max(
      ...guesses.filter((at) => wallOf(at) >= wall && wallOf(at - 1000) < wall),
      Math.min(...guesses),
    )
  }

  return { wallOf, instantOf }
}
