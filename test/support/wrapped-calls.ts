/**
 * Replaces a method of a driver by one that `pass` surrounds, for programs that are to be killed at a statement.
 * @param sourceOf the statement that a call is about
 */
export function wrap(
  prototype: object,
  name: string,
  sourceOf: (self: unknown, first: unknown) => string,
  pass: (source: string, work: () => unknown, self: unknown) => unknown,
): void {
  const original: unknown = Reflect.get(prototype, name)
  if (typeof original !== 'function') throw new TypeError(`there is no ${name} to wrap`)
  const wrapped = function (this: unknown, ...args: unknown[]): unknown {
    return pass(sourceOf(this, args[0]), () => Reflect.apply(original, this, args), this)
  }
  Reflect.set(prototype, name, wrapped)
}

/** The text of a query of `pg`. */
export function textOf(query: unknown): string {
  return typeof query === 'object' && query !== null && 'text' in query ? String(query.text) : String(query)
}
