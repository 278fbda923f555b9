import type { Usage } from './usage.ts'

export type UsageDimension = 'user' | 'tag' | 'family' | 'model' | 'upstream' | 'status'
export const usageDimensions: readonly UsageDimension[] = [
  'user',
  'tag',
  'family',
  'model',
  'upstream',
  'status',
]
/** The dimensions that tell users apart; the usage of a single user has none of them. */
export const userDimensions: readonly UsageDimension[] = ['user', 'tag']

export type UsageBucket = 'minute' | 'hour' | 'day'
export const usageBuckets: readonly UsageBucket[] = ['minute', 'hour', 'day']

export interface UsageQuestion {
  readonly bucket: UsageBucket
  /** From the bucket that `from` lies in up to the one before `to`; epoch milliseconds. */
  readonly from: number
  readonly to: number
  readonly groupBy: readonly UsageDimension[]
  readonly userId?: string
  /** Only of users who carry this tag now. */
  readonly tag?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  /** The most rows of an answer; one more is read to know whether there are more. */
  readonly limit: number
}

/** One bucket of one group; dimensions that are not grouped by are absent. */
export interface UsageRow {
  /** The bucket's first instant; days begin as in the configured time zone. */
  readonly at: number
  readonly userId?: string
  /** As users are tagged now: usage counts with each tag of its user, and with '' where it has no tag. */
  readonly tag?: string
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
