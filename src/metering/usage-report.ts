import type { UsageQuestion, UsageRow } from '#core/usage-question.ts'
import type { UsageStore } from '#storage/store.ts'

/** A row as it is answered, to administrators and to users. A dimension that was not grouped by is absent. */
export interface UsageReportRow {
  /** The bucket's first instant, epoch milliseconds. */
  readonly at: number
  readonly user?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  readonly requests: number
  /** Requests whose figures are estimates of the gateway, not the provider's. */
  readonly estimated: number
  readonly input: number
  readonly cacheRead: number
  readonly cacheWritten: number
  readonly output: number
  readonly reasoning: number
  /** What counted against quotas: all five together, each by its weight when it was charged. */
  readonly units: number
}

export interface UsageReport {
  readonly rows: readonly UsageReportRow[]
  /** There were more rows than the limit. */
  readonly truncated: boolean
}

export async function reportUsage(store: UsageStore, question: UsageQuestion): Promise<UsageReport> {
  const rows = await store.readUsage({ ...question, limit: question.limit + 1 })
  return { rows: rows.slice(0, question.limit).map(toReportRow), truncated: rows.length > question.limit }
}

function toReportRow({ at, userId, requests, estimated, usage, units, ...groups }: UsageRow): UsageReportRow {
  return {
    at,
    ...(userId !== undefined && { user: userId }),
    ...groups,
    requests,
    estimated,
    ...usage,
    units,
  }
}
