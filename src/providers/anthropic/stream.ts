import type { StreamGrammar } from '#providers/stream-meter.ts'
import type { StreamWords } from '#providers/stream-scanner.ts'
import { createUsageReader } from './usage.ts'

/**
 * `message_start` holds `message.usage`, each `message_delta` a `usage` of its own. The figures are final with
 * the `message_delta` that says why the answer stopped; `message_stop` adds nothing.
 */
export const messageStream: StreamGrammar = {
  words: { text: ['text', 'thinking', 'partial_json'], usageIn: ['', 'message'], stop: 'stop_reason' },
  createUsageReader,
  isFinal: (_, seen) => seen.hasTopUsage && seen.hasStop,
}

/** Members that hold what the model wrote in a whole answer. */
export const answerWords: StreamWords = { text: ['text', 'thinking'], usageIn: [] }
