import pg from 'pg'

const abortedTransaction = '25P02'

/**
 * Waits for statements of one transaction that were sent at once. The first one that fails aborts the transaction, and the
 * server refuses those behind it. Such a refusal may be seen first, as it passes fewer promises: it is not the cause, and
 * would not be retried as the cause may be.
 */
export async function together<Statements extends readonly unknown[]>(
  statements: readonly [...Statements],
): Promise<{ readonly [Index in keyof Statements]: Awaited<Statements[Index]> }> {
  const settled = await Promise.allSettled(statements)
  const failures = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
  if (failures.length > 0) throw failures.find((failure) => !isRefusal(failure)) ?? failures[0]
  return Promise.all(statements) as Promise<{ [Index in keyof Statements]: Awaited<Statements[Index]> }>
}

function isRefusal(failure: unknown): boolean {
  return failure instanceof pg.DatabaseError && failure.code === abortedTransaction
}
