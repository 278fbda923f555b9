import { setImmediate } from 'node:timers/promises'

/** Rows that are written as text in one go: a millisecond's worth. */
const rowsAtOnce = 500

/**
 * A long text, made a piece at a time while the client takes it, so that writing tens of thousands of rows holds
 * nobody up.
 */
export function streamRows<Row>(
  rows: readonly Row[],
  parts: {
    readonly head: string
    readonly toText: (row: Row) => string
    readonly between: string
    readonly tail: string
  },
): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  let next = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const head = next === 0 ? parts.head : parts.between
        if (next > 0) await setImmediate()
        const piece = rows.slice(next, next + rowsAtOnce)
        next += rowsAtOnce
        const isLast = next >= rows.length
        const body = piece.map(parts.toText).join(parts.between)
        controller.enqueue(text.encode(`${head}${body}${isLast ? parts.tail : ''}`))
        if (isLast) controller.close()
      },
    },
    // Nothing is read ahead: the answer to a HEAD never is.
    { highWaterMark: 0 },
  )
}
