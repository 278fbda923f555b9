/** One figure of one round, of one of two revisions that are measured in turns. */
export interface Sample {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** `more` for rates; `less` for times, CPU and memory. */
  readonly better: 'more' | 'less'
}

/** A bench over the sources beside it, which measures one short round on each call. */
export interface Side {
  readonly round: () => Promise<readonly Sample[]>
  readonly close: () => Promise<void>
}

export const timeOf = (what: string, value: number, unit: string): Sample => ({
  what,
  value,
  unit,
  better: 'less',
})

export const rateOf = (what: string, value: number, unit: string): Sample => ({
  what,
  value,
  unit,
  better: 'more',
})

/** Microseconds of CPU of all threads of this process for each of `count` items. */
export async function cpuUsEach(count: number, run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}
