/** About how many units a text amounts to: within a few percent on English prose and on Chinese. */
export function unitsOfText(asciiBytes: number, otherBytes: number): number {
  return Math.ceil(asciiBytes / 4 + otherBytes / 3)
}

/**
 * About how many units audio or an image amounts to, from its characters of base64: between a token of 50 ms of raw audio
 * (3,200 characters), one of compressed audio, and one of an image (about 500 to 1,500).
 */
export function unitsOfMedia(characters: number): number {
  return Math.ceil(characters / 1000)
}
