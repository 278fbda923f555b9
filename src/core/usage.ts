import { addUnits, toCount, toSum } from './units.ts'

/**
 * What one request consumed, in LLM units. Every unit stands in exactly one field, so that their sum is what
 * the quota counts, or what it weighs (`weights.ts`). Providers draw the lines differently: OpenAI's `prompt_tokens` includes the cached ones and
 * its `completion_tokens` the reasoning, Anthropic's `input_tokens` excludes both kinds of cache; each
 * provider's reader converts to this.
 */
export interface Usage {
  /** Fresh input: neither read from nor written to a cache. */
  readonly input: number
  readonly cacheRead: number
  readonly cacheWritten: number
  /** Visible output, without reasoning. */
  readonly output: number
  readonly reasoning: number
}

export const noUsage: Usage = { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0 }

/** All units together, as they count against a quota where no weights are configured; their sum saturates. */
export function unitsOf({ input, cacheRead, cacheWritten, output, reasoning }: Usage): number {
  return toSum(input + cacheRead + cacheWritten + output + reasoning)
}

/** The same with every figure bounded like a sum: whole, not negative, exact. */
export function toBoundedUsage({ input, cacheRead, cacheWritten, output, reasoning }: Usage): Usage {
  return {
    input: toCount(input),
    cacheRead: toCount(cacheRead),
    cacheWritten: toCount(cacheWritten),
    output: toCount(output),
    reasoning: toCount(reasoning),
  }
}

/** The two together, field by field; every field saturates. */
export function addUsage(one: Usage, other: Usage): Usage {
  return {
    input: addUnits(one.input, other.input),
    cacheRead: addUnits(one.cacheRead, other.cacheRead),
    cacheWritten: addUnits(one.cacheWritten, other.cacheWritten),
    output: addUnits(one.output, other.output),
    reasoning: addUnits(one.reasoning, other.reasoning),
  }
}

/** What two have in common, field by field. */
export function leastOf(one: Usage, other: Usage): Usage {
  return {
    input: Math.min(one.input, other.input),
    cacheRead: Math.min(one.cacheRead, other.cacheRead),
    cacheWritten: Math.min(one.cacheWritten, other.cacheWritten),
    output: Math.min(one.output, other.output),
    reasoning: Math.min(one.reasoning, other.reasoning),
  }
}

/** What is left of a whole without a part of it; no field falls below 0. */
export function withoutUsage(whole: Usage, part: Usage): Usage {
  return {
    input: Math.max(0, whole.input - part.input),
    cacheRead: Math.max(0, whole.cacheRead - part.cacheRead),
    cacheWritten: Math.max(0, whole.cacheWritten - part.cacheWritten),
    output: Math.max(0, whole.output - part.output),
    reasoning: Math.max(0, whole.reasoning - part.reasoning),
  }
}
