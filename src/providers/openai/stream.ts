import type { StreamGrammar } from '#providers/stream-meter.ts'
import type { StreamWords } from '#providers/stream-scanner.ts'
import { createUsageReader } from './usage.ts'

/** Chat and completions: the last event has usage and no choices; then comes `[DONE]`. */
export const chatStream: StreamGrammar = {
  // `reasoning` and `reasoning_content` are what other vendors of this protocol call the same.
  words: {
    text: ['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text'],
    usageIn: [''],
  },
  createUsageReader,
  isFinal: (event, seen) => (event.hasTopUsage && event.hasNoChoices) || (event.isDone && seen.hasTopUsage),
}

/** Responses: `response.usage` is null until the event that completes, fails or cuts off the answer. */
export const responsesStream: StreamGrammar = {
  words: { text: ['delta'], usageIn: ['response'] },
  createUsageReader,
  isFinal: (event) => event.hasUsage,
}

/** Members that hold what the model wrote in a whole answer. */
export const answerWords: StreamWords = {
  text: ['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text'],
  usageIn: [],
}
