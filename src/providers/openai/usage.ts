import type { Usage } from '#core/usage.ts'
import { figureOf, holdsAbsurd, type JsonRecord, recordOf } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * Usage as this protocol states it, in both of its dialects: `prompt_tokens` and `completion_tokens` (chat,
 * completions, embeddings), `input_tokens` and `output_tokens` (responses). The input includes what was read
 * from a cache and what was written to one, the output includes the reasoning. Where it stands several times in a
 * stream it is cumulative: the last one holds.
 */
export function createUsageReader(): UsageReader {
  let latest: Usage | undefined
  return {
    take(usage) {
      latest = holdsAbsurd(usage, sums) ? undefined : (usageOf(usage) ?? latest)
    },
    usage: () => latest,
  }
}

/** The figures that everything else is a part of. */
const sums = ['prompt_tokens', 'input_tokens', 'completion_tokens', 'output_tokens', 'total_tokens']

function usageOf(stated: JsonRecord): Usage | undefined {
  const total = figureOf(stated, 'total_tokens')
  const givenInput = figureOf(stated, 'prompt_tokens') ?? figureOf(stated, 'input_tokens')
  const givenOutput = figureOf(stated, 'completion_tokens') ?? figureOf(stated, 'output_tokens')
  if (givenInput === undefined && givenOutput === undefined && total === undefined) return undefined
  const allOutput = givenOutput ?? (givenInput === undefined ? 0 : Math.max(0, (total ?? 0) - givenInput))
  const allInput = givenInput ?? Math.max(0, (total ?? 0) - allOutput)

  const inputDetails = recordOf(stated.prompt_tokens_details) ?? recordOf(stated.input_tokens_details)
  const cacheRead = Math.min(allInput, figureOf(inputDetails, 'cached_tokens') ?? 0)
  const cacheWritten = Math.min(allInput - cacheRead, figureOf(inputDetails, 'cache_write_tokens') ?? 0)

  const outputDetails = recordOf(stated.completion_tokens_details) ?? recordOf(stated.output_tokens_details)
  const reasoning = figureOf(outputDetails, 'reasoning_tokens') ?? 0
  // Some vendors of this protocol count the reasoning beside the completion; their total gives it away.
  const isBeside = reasoning > 0 && total === allInput + allOutput + reasoning
  return {
    input: allInput - cacheRead - cacheWritten,
    cacheRead,
    cacheWritten,
    output: isBeside ? allOutput : Math.max(0, allOutput - reasoning),
    reasoning: isBeside ? reasoning : Math.min(allOutput, reasoning),
  }
}
