import { holdsControl } from '#lib/control-characters.ts'

const nameLengthMax = 256

/** A model's name from an answer; undefined if it cannot be stored. */
export function toModelName(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > nameLengthMax) return undefined
  return value.isWellFormed() && !holdsControl(value) ? value : undefined
}

/** What a model's name tells about how its provider counts. A proxy may have put a prefix before the name. */

export function isClaude(model: string): boolean {
  return /claude/i.test(model)
}

/** OpenAI's own models that reason; gpt-oss is served by others. */
export function sealsReasoning(model: string): boolean {
  return /(^|\/)(gpt-\d|o\d|codex|chatgpt)/i.test(model)
}
