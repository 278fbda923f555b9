import type { StreamGrammar } from '#providers/stream/stream-notes.ts'
import { createUsageReader } from './usage.ts'

/** Each event is a whole answer's object with a part of the text; the last has a `finishReason` and the final figures. */
export const contentStream: StreamGrammar = {
  words: {
    text: ['text'],
    reasoning: [],
    grows: ['content'],
    labels: ['role', 'thoughtSignature', 'mimeType'],
    innerMedia: ['data'],
    usageIn: [''],
    usage: 'usageMetadata',
    stop: 'finishReason',
  },
  createUsageReader,
  isFinal: ({ hasUsage, stops, isEnded }, answers) => hasUsage && (stops >= answers || isEnded),
  isOver: () => true,
}
