/**
 * Members of a body that no field reads. They are ignored, as the contract's clients rely on, and told in the answer,
 * since a misspelt `tokenLimit` would otherwise make an unlimited user without a word.
 */

/** How many are named, and how many characters of each. */
export const namedMax = 100
const lengthMax = 80

/**
 * @param known names that a field reads, or that an answer holds so that it may be put back
 * @param place where the object stands, such as `users[3]`
 */
export function unknownMembers(value: unknown, known: ReadonlySet<string>, place = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const unknown = Object.keys(value).filter((name) => !known.has(name))
  const named = unknown.slice(0, namedMax).map((name) => name.slice(0, lengthMax).toWellFormed())
  return place === '' ? named : named.map((name) => `${place}.${name}`)
}

/** As an answer tells them: absent where all are known. */
export function toIgnored(members: readonly string[]): { readonly ignored?: readonly string[] } {
  return members.length > 0 ? { ignored: members.slice(0, namedMax) } : {}
}

/** What is said of a family that no configuration knows: one that is misspelt must not be a limit that never works. */
export function unknownFamily(familyNames: readonly string[]): string {
  return `is not a known family; known are ${familyNames.join(', ')}`
}
