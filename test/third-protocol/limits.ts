/** This protocol has no headers for limits. */
export function limitHeaders(): Readonly<Record<string, string>> {
  return {}
}
