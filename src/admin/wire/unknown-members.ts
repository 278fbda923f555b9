/**
 * Members of a body that no field reads. They are ignored, which the contract's clients rely on. The answer lists
 * them, since a misspelt `tokenLimit` would otherwise silently make an unlimited user.
 */

/** How many are listed, and how many characters of each. */
export const namedMax = 100
const lengthMax = 80

/**
 * @param known names that a field reads, or that an answer holds so that it may be sent back
 * @param place where the object stands, such as `users[3]`
 */
export function unknownMembers(value: unknown, known: ReadonlySet<string>, place = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const unknown = Object.keys(value).filter((name) => !known.has(name))
  const named = unknown.slice(0, namedMax).map((name) => name.slice(0, lengthMax).toWellFormed())
  return place === '' ? named : named.map((name) => `${place}.${name}`)
}

/** As a member of an answer: absent where all are known. */
export function toIgnored(members: readonly string[]): { readonly ignored?: readonly string[] } {
  return members.length > 0 ? { ignored: members.slice(0, namedMax) } : {}
}

/** The message for an unknown family: a misspelt one must not become a limit without effect. */
export function unknownFamily(familyNames: readonly string[]): string {
  return `is not a known family; known are ${familyNames.join(', ')}`
}
