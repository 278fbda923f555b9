/**
 * The time now, in epoch milliseconds unless stated otherwise. It is passed in wherever a rule depends on the time, so
 * that tests control it.
 */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** Milliseconds since this process began, for durations. It is monotonic: neither an operator nor NTP changes it. */
export const steadyClock: Clock = () => performance.now()
