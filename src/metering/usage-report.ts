import type { Usage } from '#core/usage.ts'
import type { UsageQuestion, UsageRow } from '#core/usage-question.ts'
import type { UsageStore } from '#storage/store.ts'

/** A row as it is answered, to administrators and to users. */
export type UsageReportRow = Omit<UsageRow, 'userId' | 'usage'> & Usage & { readonly user?: string }

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
