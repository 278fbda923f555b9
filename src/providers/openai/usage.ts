import { addUnits } from '#core/units.ts'
import { addUsage, noUsage, type Usage, unitsOf } from '#core/usage.ts'
import { createExtrasGatherer } from '#providers/extras.ts'
import { figureOf, holdsAbsurd, type JsonRecord, recordOf } from '#providers/figures.ts'
import { toModelName } from '#providers/model-names.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * Usage as this protocol states it, in both of its forms: `prompt_tokens` and `completion_tokens` (chat, completions,
 * embeddings), `input_tokens` and `output_tokens` (responses). The input includes what was read from a cache and what was
 * written to one, the output includes the reasoning. If a stream states it several times it is cumulative: the largest
 * one holds, and of equal ones the last.
 *
 * Vendors of this protocol divide usage differently. None charges less than the `total_tokens` that it states, so the
 * total shows what the other two figures leave out.
 */
export function createUsageReader(): UsageReader {
  const extras = createExtrasGatherer()
  let before = noUsage
  let latest: Usage | undefined
  let images: ImageGeneration | undefined
  let stated: JsonRecord = {}
  let isAbsurd = false
  let answered: string | undefined

  function setMedia(): void {
    const [input, output] = [inputDetailsOf(stated), outputDetailsOf(stated)]
    extras.set('audioInput', figureOf(input, 'audio_tokens'))
    extras.set('audioOutput', figureOf(output, 'audio_tokens'))
    const [imageInput, imageOutput] = [figureOf(input, 'image_tokens'), figureOf(output, 'image_tokens')]
    extras.set('imageInput', sumOf(imageInput, images?.imageInput))
    extras.set('imageOutput', sumOf(imageOutput, images?.imageOutput))
    const creation = recordOf(input?.cache_creation_token_details) ?? recordOf(stated.cache_creation)
    extras.set('cacheWritten1h', figureOf(creation, 'ephemeral_1h_input_tokens'))
  }

  return {
    take(usage) {
      // Earlier figures no longer hold, and later ones may build on the absurd one.
      isAbsurd = holdsAbsurd(usage, sums)
      const next = isAbsurd ? undefined : usageOf(usage)
      if (isAbsurd) latest = undefined
      if (!next) return
      const falls = latest !== undefined && unitsOf(next) < unitsOf(latest)
      if (!falls) {
        latest = next
        stated = usage
        setMedia()
      }
      extras.setTools(recordOf(usage.server_tool_use) ?? recordOf(usage.server_tool_use_details))
      extras.setTools(
        recordOf(usage.server_side_tool_usage_details) ?? recordOf(usage.server_side_tool_usage),
      )
      const { num_sources_used: sources, num_search_queries: search } = usage
      if (sources !== undefined || search !== undefined) extras.setTools({ sources, search })
      extras.setTier(usage.service_tier)
    },
    takeTools(tools) {
      images = imageGenerationOf(recordOf(tools.image_gen)) ?? images
      setMedia()
      extras.setTools(tools)
    },
    takeTier: extras.setTier,
    takeModel(model) {
      answered = toModelName(model) ?? answered
    },
    startPart() {
      before = latest ? addUsage(before, latest) : before
      latest = undefined
      extras.startPart()
    },
    usage() {
      const known = latest ?? (unitsOf(before) > 0 ? noUsage : undefined)
      // The usage of tools alone is not the answer's usage, which must be stated too.
      if (!known || isAbsurd) return undefined
      return addUsage(addUsage(before, known), images?.usage ?? noUsage)
    },
    extras: extras.extras,
    models: () => ({ answered, beside: [] }),
  }
}

/** The sums; all other figures are parts of them. */
const sums = ['prompt_tokens', 'input_tokens', 'completion_tokens', 'output_tokens', 'total_tokens']

function usageOf(stated: JsonRecord): Usage | undefined {
  const total = figureOf(stated, 'total_tokens')
  const givenInput = figureOf(stated, 'prompt_tokens') ?? figureOf(stated, 'input_tokens')
  const givenOutput = figureOf(stated, 'completion_tokens') ?? figureOf(stated, 'output_tokens')
  // An output of zero says nothing of a request whose input is not stated.
  if (givenInput === undefined && total === undefined && !givenOutput) return undefined
  // If one of the two is not stated, it is the rest of the total.
  const output = givenOutput ?? (givenInput === undefined ? 0 : Math.max(0, (total ?? 0) - givenInput))
  const input = givenInput ?? Math.max(0, (total ?? 0) - output)
  const gap = Math.max(0, (total ?? 0) - input - output)
  return split(stated, { input, output, ...placeOf(gap, stated, output) })
}

interface Sides {
  readonly input: number
  readonly output: number
  /** What the total holds beyond input and output. */
  readonly moreInput: number
  readonly moreOutput: number
  readonly moreReasoning: number
}

type More = Pick<Sides, 'moreInput' | 'moreOutput' | 'moreReasoning'>

/**
 * What a total holds beyond input and output. A detail of the same size is then beside them, not a part of them.
 * Otherwise it is reasoning that is not stated. Sound that is stated only in seconds is input.
 */
function placeOf(gap: number, stated: JsonRecord, output: number): More {
  const none = { moreInput: 0, moreOutput: 0, moreReasoning: 0 }
  const reasoning = reasoningOf(stated)
  // If there is more reasoning than output, it cannot be a part of the output, whatever the total says.
  if (reasoning > output) return { ...none, moreReasoning: Math.max(gap, reasoning) }
  if (gap === 0) return none
  if (gap === reasoning) return { ...none, moreReasoning: gap }
  const [inputs, outputs] = [inputDetailsOf(stated), outputDetailsOf(stated)]
  if (media.some((key) => figureOf(outputs, key) === gap)) return { ...none, moreOutput: gap }
  if (media.some((key) => figureOf(inputs, key) === gap)) return { ...none, moreInput: gap }
  const cached = cachedOf(stated)
  if (cached.read === gap || cached.written === gap || cached.read + cached.written === gap)
    return { ...none, moreInput: gap }
  if (Number(stated.prompt_audio_seconds) > 0) return { ...none, moreInput: gap }
  return { ...none, moreReasoning: gap }
}

const media = ['audio_tokens', 'image_tokens', 'video_tokens']

/** Divides input and output into their kinds, each unit once. */
function split(stated: JsonRecord, sides: Sides): Usage {
  const allInput = addUnits(sides.input, sides.moreInput)
  const cached = cachedOf(stated)
  const cacheRead = Math.min(allInput, cached.read)
  const cacheWritten = Math.min(allInput - cacheRead, cached.written)
  const within = sides.moreReasoning > 0 ? 0 : Math.min(sides.output, reasoningOf(stated))
  return {
    input: allInput - cacheRead - cacheWritten,
    cacheRead,
    cacheWritten,
    output: addUnits(sides.output - within, sides.moreOutput),
    reasoning: within + sides.moreReasoning,
  }
}

function reasoningOf(stated: JsonRecord): number {
  return figureOf(outputDetailsOf(stated), 'reasoning_tokens') ?? figureOf(stated, 'reasoning_tokens') ?? 0
}

/** What was read from a cache and written to one, by the vendors' different names. */
function cachedOf(stated: JsonRecord): { readonly read: number; readonly written: number } {
  const details = inputDetailsOf(stated)
  const first = (...figures: readonly (number | undefined)[]) => figures.find((one) => one !== undefined) ?? 0
  return {
    read: first(
      figureOf(details, 'cached_tokens'),
      figureOf(stated, 'num_cached_tokens'),
      figureOf(stated, 'cached_tokens'),
      figureOf(stated, 'prompt_cache_hit_tokens'),
      figureOf(stated, 'cache_read_input_tokens'),
    ),
    written: first(
      figureOf(details, 'cache_write_tokens'),
      figureOf(details, 'cache_creation_tokens'),
      figureOf(stated, 'cache_creation_input_tokens'),
    ),
  }
}

function inputDetailsOf(stated: JsonRecord): JsonRecord | undefined {
  return (
    recordOf(stated.prompt_tokens_details) ??
    recordOf(stated.input_tokens_details) ??
    recordOf(stated.prompt_token_details)
  )
}

function outputDetailsOf(stated: JsonRecord): JsonRecord | undefined {
  return recordOf(stated.completion_tokens_details) ?? recordOf(stated.output_tokens_details)
}

interface ImageGeneration {
  readonly usage: Usage
  readonly imageInput: number | undefined
  readonly imageOutput: number | undefined
}

/** The usage of images that the model made by a tool; the answer's own usage does not include it. */
function imageGenerationOf(stated: JsonRecord | undefined): ImageGeneration | undefined {
  const usage = stated && !holdsAbsurd(stated, sums) ? usageOf(stated) : undefined
  if (!stated || !usage) return undefined
  return {
    usage,
    imageInput: figureOf(inputDetailsOf(stated), 'image_tokens'),
    imageOutput: figureOf(outputDetailsOf(stated), 'image_tokens') ?? usage.output,
  }
}

function sumOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined && other === undefined ? undefined : addUnits(one ?? 0, other ?? 0)
}
