/** Reading a row's values: what is not of the expected kind is a bug, and beyond 2^53 no number is exact. */
export function integer(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError(`stored ${String(value)} is no safe integer`)
  return value
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`stored ${String(value)} is no text`)
  return value
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : read(value)
}
