/** Removes the entry that was put in first where as many as the most are there, so that one more can be added. */
export function makeRoom<Key>(kept: Map<Key, unknown> | Set<Key>, most: number): void {
  if (kept.size < most) return
  const oldest = kept.keys().next()
  if (!oldest.done) kept.delete(oldest.value)
}
