import { setImmediate } from 'node:timers/promises'

/** Rows that are written as text in one go: a millisecond's work. */
const rowsAtOnce = 500

/** A long text, made piece by piece as the client reads it: tens of thousands of rows do not block other requests. */
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
    // No read-ahead: the body of a HEAD is never read.
    { highWaterMark: 0 },
  )
}
