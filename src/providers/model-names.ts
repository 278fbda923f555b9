const nameLengthMax = 256

/** A model's name from an answer, as far as it is one that can be stored. */
export function toModelName(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > nameLengthMax) return undefined
  return value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined
}

/** What a model's name says of how its provider counts; a proxy may have put names of its own before it. */

export function isClaude(model: string): boolean {
  return /claude/i.test(model)
}

/** The models of OpenAI that reason; gpt-oss is others' to serve. */
export function sealsReasoning(model: string): boolean {
  return /(^|\/)(gpt-\d|o\d|codex|chatgpt)/i.test(model)
}
