import type { StreamGrammar } from '#providers/stream/stream-notes.ts'
import type { StreamWords } from '#providers/stream/words.ts'
import { createUsageReader } from './usage.ts'

/**
 * `message_start` holds `message.usage`, each `message_delta` a `usage` of its own. The figures are final with
 * the `message_delta` that says why the answer stopped; `message_stop` adds nothing.
 */
export const messageStream: StreamGrammar = {
  words: {
    text: ['text', 'partial_json'],
    reasoning: ['thinking'],
    grows: ['delta'],
    labels: ['signature', 'stop_sequence', 'stop_details', 'container', 'citation'],
    usageIn: ['', 'message'],
    stop: 'stop_reason',
    kind: 'type',
  },
  createUsageReader,
  isFinal: ({ hasTopUsage, stops, isEnded }) => hasTopUsage && (stops > 0 || isEnded),
  isOver: () => true,
}

/** Members that hold what the model wrote in a whole answer. */
export const answerWords: StreamWords = { text: ['text'], reasoning: ['thinking'], usageIn: [] }
