import type { StreamGrammar } from '#providers/stream/stream-notes.ts'
import type { StreamWords } from '#providers/stream/words.ts'
import { createUsageReader } from './usage.ts'

const written = {
  text: ['content', 'refusal', 'arguments', 'text'],
  // The names that vendors of this protocol have for the reasoning that they show.
  reasoning: ['reasoning_content', 'reasoning', 'reasoning_text', 'thinking'],
  details: ['reasoning_details', 'thinking_blocks'],
  labels: [
    ...['type', 'role', 'id', 'name', 'format', 'status', 'expires_at', 'annotations', 'citations'],
    ...['signature', 'thought_signature', 'extra_content', 'provider_specific_fields'],
  ],
  // Audio is in `data`, an image in a URL.
  innerMedia: ['data', 'url'],
}

/**
 * Chat and completions: the last event has usage and no text; then comes `[DONE]`. Vendors differ: some state the usage
 * so far on each event, on the last one with choices, within those choices or in `x_groq`; some send no `[DONE]`; some
 * send an event of usage for each of several answers.
 */
export const chatStream: StreamGrammar = {
  words: {
    ...written,
    grows: ['delta'],
    usageIn: ['', 'x_groq', 'choices'],
    stop: 'finish_reason',
    tier: 'service_tier',
    kind: 'object',
  },
  createUsageReader,
  isFinal: ({ hasUsage, hasTextSince, endsInUsage, isDone, isEnded, stops }, answers) =>
    hasUsage && !hasTextSince && (isDone || isEnded || (endsInUsage && (answers === 1 || stops >= answers))),
  // Usage of another answer may follow; the first usage is then only a part.
  isOver: ({ isDone }) => isDone,
}

/** Responses: `response.usage` is null until the event that completes, fails or cuts off the answer. */
export const responsesStream: StreamGrammar = {
  words: {
    // Every kind of event that extends the answer has this member.
    text: ['delta'],
    reasoning: [],
    media: ['partial_image_b64'],
    usageIn: ['response'],
    tools: 'tool_usage',
    tier: 'service_tier',
    status: 'status',
    kind: 'type',
  },
  createUsageReader,
  isFinal: ({ hasUsage, hasTextSince, status }) =>
    hasUsage && !hasTextSince && status !== 'in_progress' && status !== 'queued',
  // A server that does not state the answer's status may state usage at the start.
  isOver: ({ status }) => status !== '',
}

/** Members that hold what the model wrote in a whole answer. */
export const answerWords: StreamWords = { ...written, grows: ['message'], usageIn: [] }
