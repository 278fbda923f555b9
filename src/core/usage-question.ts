import type { Usage } from './usage.ts'

export type UsageDimension = 'user' | 'family' | 'model' | 'upstream' | 'status'
export const usageDimensions: readonly UsageDimension[] = ['user', 'family', 'model', 'upstream', 'status']

export type UsageBucket = 'minute' | 'hour' | 'day'
export const usageBuckets: readonly UsageBucket[] = ['minute', 'hour', 'day']

export interface UsageQuestion {
  readonly bucket: UsageBucket
  /** From the bucket that `from` lies in up to the one before `to`; epoch milliseconds. */
  readonly from: number
  readonly to: number
  readonly groupBy: readonly UsageDimension[]
  readonly userId?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  /** At most so many rows are answered; one more is asked for to know whether there were more. */
  readonly limit: number
}

/** One bucket of one group; a dimension that was not grouped by is absent. */
export interface UsageRow {
  /** The bucket's first instant; days begin where the configured time zone's do. */
  readonly at: number
  readonly userId?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  readonly requests: number
  /** Requests whose figures are ours, not the provider's. */
  readonly estimated: number
  readonly usage: Usage
  /** What counted against quotas, by the weights of when each request was charged. */
  readonly units: number
}
