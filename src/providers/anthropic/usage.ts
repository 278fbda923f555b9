import type { Usage } from '#core/usage.ts'
import { figureOf, holdsAbsurd, recordOf } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * Usage as this protocol states it: `input_tokens` is what was neither read from a cache nor written to one,
 * `output_tokens` includes the thinking. In a stream `message_start` states the input and `message_delta` the
 * output so far, and may restate the rest; all of it is cumulative, so the last value of each field stands.
 */
export function createUsageReader(): UsageReader {
  const fields = [
    'input_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
    'output_tokens',
  ] as const
  const latest: Partial<Record<(typeof fields)[number], number>> = {}
  let thinking = 0
  let isAbsurd = false
  return {
    take(usage) {
      // What was stated before holds no longer, and what comes after may rest on it.
      isAbsurd ||= holdsAbsurd(usage, fields)
      for (const field of fields) {
        const figure = figureOf(usage, field)
        if (figure !== undefined) latest[field] = figure
      }
      thinking = figureOf(recordOf(usage.output_tokens_details), 'thinking_tokens') ?? thinking
    },
    usage(): Usage | undefined {
      if (isAbsurd || Object.keys(latest).length === 0) return undefined
      const output = latest.output_tokens ?? 0
      const reasoning = Math.min(output, thinking)
      return {
        input: latest.input_tokens ?? 0,
        cacheRead: latest.cache_read_input_tokens ?? 0,
        cacheWritten: latest.cache_creation_input_tokens ?? 0,
        output: output - reasoning,
        reasoning,
      }
    },
  }
}
