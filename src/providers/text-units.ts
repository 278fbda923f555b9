/** About how many units a text amounts to: within a few percent on English prose and on Chinese. */
export function unitsOfText(asciiBytes: number, otherBytes: number): number {
  return Math.ceil(asciiBytes / 4 + otherBytes / 3)
}
