/** Tags of users: short names that administrators give, such as a team or a course. */
export const tagsMax = 20
export const tagLengthMax = 50

/**
 * Whether a text of one line may be a tag. A comma separates tags in a query and in CSV, and white space at an end
 * would make two tags that look the same.
 */
export function mayBeTag(text: string): boolean {
  return text !== '' && !text.includes(',') && text === text.trim()
}
