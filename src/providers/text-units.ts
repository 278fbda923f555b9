/** Estimates the units of a text, to a few percent for English prose and for Chinese. */
export function unitsOfText(asciiBytes: number, otherBytes: number): number {
  return Math.ceil(asciiBytes / 4 + otherBytes / 3)
}

/**
 * Estimates the units of audio or an image from its characters of base64. The value lies between a unit of 50 ms of raw
 * audio (3,200 characters), one of compressed audio, and one of an image (about 500 to 1,500).
 */
export function unitsOfMedia(characters: number): number {
  return Math.ceil(characters / 1000)
}
