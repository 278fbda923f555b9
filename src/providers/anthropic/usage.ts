import { addUsage, type Usage } from '#core/usage.ts'
import { createExtrasGatherer } from '#providers/extras.ts'
import { figureOf, holdsAbsurd, type JsonRecord, recordOf } from '#providers/figures.ts'
import { toModelName } from '#providers/model-names.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * Usage as this protocol states it: `input_tokens` is what was neither read from a cache nor written to one,
 * `output_tokens` includes the thinking. In a stream `message_start` states the input and `message_delta` the output so
 * far, and may restate the rest; all of it is cumulative, so the last value of each field counts, unless it takes back
 * what was stated.
 *
 * `iterations` lists each inference separately. The top level sums up those that made the answer (`message`, or
 * `fallback_message` if another model made it). Other inferences (a compaction, an advisor) are charged beside it. A
 * fallback that declined is a `message` that the top level leaves out: it is not charged.
 */
export function createUsageReader(): UsageReader {
  const extras = createExtrasGatherer()
  const input: Partial<Record<(typeof inputFields)[number], number>> = {}
  let output: number | undefined
  let thinking = 0
  let beside: readonly JsonRecord[] = []
  let written1h = 0
  let isAbsurd = false
  let answered: string | undefined
  let fallback: string | undefined

  function takeInput(usage: JsonRecord): void {
    const next: typeof input = { ...input }
    for (const field of inputFields) {
      const figure = figureOf(usage, field)
      if (figure !== undefined) next[field] = figure
    }
    // If the input falls to zero, a server without figures takes it back, so that is ignored. Any other change restates
    // how the input divides.
    const restates = (figureOf(usage, 'input_tokens') ?? 0) > 0
    if (restates || inputOf(next) >= inputOf(input)) Object.assign(input, next)
  }

  return {
    take(usage) {
      // Earlier figures no longer hold, and later ones may build on the absurd one.
      isAbsurd ||= holdsAbsurd(usage, fields)
      takeInput(usage)
      const stated = figureOf(usage, 'output_tokens')
      if (stated !== undefined) output = Math.max(output ?? 0, stated)
      thinking = figureOf(recordOf(usage.output_tokens_details), 'thinking_tokens') ?? thinking
      if (Array.isArray(usage.iterations)) {
        beside = besideOf(usage.iterations)
        fallback = fallbackOf(usage.iterations) ?? fallback
      }
      isAbsurd ||= beside.some((iteration) => holdsAbsurd(iteration, fields) || lacksSide(iteration))
      written1h = figureOf(recordOf(usage.cache_creation), hourField) ?? written1h
      extras.set('cacheWritten1h', besideHours(beside) + written1h)
      extras.setTools(recordOf(usage.server_tool_use))
      extras.setTier(usage.speed === 'fast' ? 'fast' : usage.service_tier)
    },
    takeTools: () => undefined,
    takeTier: extras.setTier,
    takeModel(model) {
      answered = toModelName(model) ?? answered
    },
    startPart: () => undefined,
    usage(): Usage | undefined {
      if (isAbsurd || (!output && Object.keys(input).length === 0)) return undefined
      const reasoning = Math.min(output ?? 0, thinking)
      const lacksInput = input.input_tokens === undefined
      const top = {
        input: input.input_tokens ?? 0,
        // Without the rest of the input these are not all of it; what is not stated at all is estimated.
        cacheRead: lacksInput ? 0 : (input.cache_read_input_tokens ?? 0),
        cacheWritten: lacksInput ? 0 : (input.cache_creation_input_tokens ?? 0),
        output: (output ?? 0) - reasoning,
        reasoning,
      }
      return beside.reduce<Usage>((sum, iteration) => addUsage(sum, usageOf(iteration)), top)
    },
    extras: extras.extras,
    models: () => ({
      answered: fallback ?? answered,
      beside: beside.flatMap((iteration) => {
        const model = toModelName(iteration.model)
        return model === undefined ? [] : [{ model, usage: usageOf(iteration) }]
      }),
    }),
  }
}

const inputFields = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const
const fields = [...inputFields, 'output_tokens']
const hourField = 'ephemeral_1h_input_tokens'

/** Kinds of iterations that the top level sums up. */
const answering: ReadonlySet<unknown> = new Set(['message', 'fallback_message'])

function besideOf(iterations: readonly unknown[]): readonly JsonRecord[] {
  return iterations.flatMap((one) => {
    const iteration = recordOf(one)
    return iteration && !answering.has(iteration.type) ? [iteration] : []
  })
}

/** The model that answered instead of the request's own; the start of a stream names only the latter. */
function fallbackOf(iterations: readonly unknown[]): string | undefined {
  const last = iterations.map(recordOf).findLast((iteration) => iteration?.type === 'fallback_message')
  return toModelName(last?.model)
}

/** Whether one inference is stated without its input or its output, which cannot be estimated by themselves. */
function lacksSide(iteration: JsonRecord): boolean {
  return (
    figureOf(iteration, 'input_tokens') === undefined || figureOf(iteration, 'output_tokens') === undefined
  )
}

function besideHours(iterations: readonly JsonRecord[]): number {
  return iterations.reduce(
    (sum, iteration) => sum + (figureOf(recordOf(iteration.cache_creation), hourField) ?? 0),
    0,
  )
}

function inputOf(input: Readonly<Record<string, number | undefined>>): number {
  return inputFields.reduce((sum, field) => sum + (input[field] ?? 0), 0)
}

function usageOf(stated: JsonRecord): Usage {
  const output = figureOf(stated, 'output_tokens') ?? 0
  const thinking = figureOf(recordOf(stated.output_tokens_details), 'thinking_tokens') ?? 0
  const reasoning = Math.min(output, thinking)
  return {
    input: figureOf(stated, 'input_tokens') ?? 0,
    cacheRead: figureOf(stated, 'cache_read_input_tokens') ?? 0,
    cacheWritten: figureOf(stated, 'cache_creation_input_tokens') ?? 0,
    output: output - reasoning,
    reasoning,
  }
}
