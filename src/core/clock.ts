/** The time now, in epoch milliseconds where nothing else is said. Passed in wherever a rule depends on the time, so that tests hold it. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** Milliseconds since this process began: for durations. Nothing sets it, as an operator or NTP sets the time. */
export const steadyClock: Clock = () => performance.now()
