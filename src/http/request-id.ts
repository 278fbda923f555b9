import { createSortableId } from '#lib/sortable-id.ts'

/** The id that an answer's `x-request-id`, its error envelope, the log and the ledger share. */
export function createRequestId(now: number): string {
  return createSortableId('req_', now)
}
