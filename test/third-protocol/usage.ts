import { addUnits } from '#core/units.ts'
import type { Usage } from '#core/usage.ts'
import { createExtrasGatherer } from '#providers/extras.ts'
import { figureOf, holdsAbsurd, type JsonRecord } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * `usageMetadata`: the prompt includes what was read from a cache, the thoughts are beside the candidates. It is cumulative;
 * the last one with figures holds.
 */
const figures = {
  prompt: 'promptTokenCount',
  tools: 'toolUsePromptTokenCount',
  cached: 'cachedContentTokenCount',
  candidates: 'candidatesTokenCount',
  thoughts: 'thoughtsTokenCount',
  total: 'totalTokenCount',
} as const

export function createUsageReader(): UsageReader {
  const extras = createExtrasGatherer()
  let latest: Usage | undefined
  let isAbsurd = false

  function take(stated: JsonRecord): void {
    isAbsurd = holdsAbsurd(stated, Object.values(figures))
    const prompt = figureOf(stated, figures.prompt)
    if (isAbsurd || prompt === undefined) return
    const of = (key: keyof typeof figures) => figureOf(stated, figures[key]) ?? 0
    const input = addUnits(prompt, of('tools'))
    const cacheRead = Math.min(input, of('cached'))
    const reasoning = of('thoughts')
    const output = Math.max(of('candidates'), of('total') - input - reasoning)
    latest = { input: input - cacheRead, cacheRead, cacheWritten: 0, output, reasoning }
  }

  return {
    take,
    takeTools: () => undefined,
    takeTier: extras.setTier,
    takeModel: () => undefined,
    startPart: () => undefined,
    usage: () => (isAbsurd ? undefined : latest),
    extras: extras.extras,
    models: () => ({ answered: undefined, beside: [] }),
  }
}
