/** What was read. Each kind of reading returns either this or why there is no value; the reasons differ, this does not. */
export interface Read<T> {
  readonly kind: 'read'
  readonly value: T
}

export function read<T>(value: T): Read<T> {
  return { kind: 'read', value }
}

/** A text or bytes as a value, or what is wrong with them. */
export type TextReading<T> = Read<T> | Unreadable

export interface Unreadable {
  readonly kind: 'invalid'
  readonly message: string
}

export function unreadable(message: string): Unreadable {
  return { kind: 'invalid', message }
}
