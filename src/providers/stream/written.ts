/** What a model wrote, in bytes. */
export interface Written {
  readonly text: TextBytes
  readonly reasoning: TextBytes
  /** Reasoning in details, which usually repeats the other. */
  readonly details: TextBytes
  /** Base64 of audio and images. */
  readonly media: TextBytes
}

export interface TextBytes {
  ascii: number
  other: number
}

export function createWritten(): Written {
  return {
    text: { ascii: 0, other: 0 },
    reasoning: { ascii: 0, other: 0 },
    details: { ascii: 0, other: 0 },
    media: { ascii: 0, other: 0 },
  }
}

export function totalWritten(written: Written): number {
  return Object.values(written).reduce((sum, { ascii, other }) => sum + ascii + other, 0)
}
