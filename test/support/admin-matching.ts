/**
 * Expectations as data: objects are matched in part, all other values exactly; two marks stand for absent and for any
 * value.
 */
export const absent = Symbol('absent')
export const anything = Symbol('anything')

/** The differences between `actual` and `expected`, as sentences; empty where they match. */
export function mismatches(actual: unknown, expected: unknown, at = 'body'): string[] {
  if (expected === anything) return actual === undefined ? [`${at} is missing`] : []
  if (expected === absent) return actual === undefined ? [] : [`${at} should be absent`]
  if (expected instanceof RegExp) {
    return typeof actual === 'string' && expected.test(actual)
      ? []
      : [`${at} is ${show(actual)}, not like ${expected}`]
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return [`${at} is ${show(actual)}, not a list`]
    const length =
      actual.length === expected.length ? [] : [`${at} has ${actual.length} elements, not ${expected.length}`]
    return [
      ...length,
      ...expected.flatMap((item, index) => mismatches(actual[index], item, `${at}[${index}]`)),
    ]
  }
  if (isObject(expected)) {
    if (!isObject(actual)) return [`${at} is ${show(actual)}, not an object`]
    return Object.entries(expected).flatMap(([name, value]) => {
      return mismatches(Object.hasOwn(actual, name) ? actual[name] : undefined, value, `${at}.${name}`)
    })
  }
  return Object.is(actual, expected) ? [] : [`${at} is ${show(actual)}, not ${show(expected)}`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}
