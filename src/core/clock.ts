/** The time now, in epoch milliseconds. Passed in wherever a rule depends on the time, so that tests hold it. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
