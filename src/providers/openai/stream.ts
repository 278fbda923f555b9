import type { StreamGrammar } from '#providers/stream-meter.ts'
import type { StreamWords } from '#providers/stream-scanner.ts'
import { createUsageReader } from './usage.ts'

const written = {
  text: ['content', 'refusal', 'arguments', 'text'],
  // What vendors of this protocol call the reasoning that they show.
  reasoning: ['reasoning_content', 'reasoning', 'reasoning_text', 'thinking'],
  details: ['reasoning_details', 'thinking_blocks'],
  labels: [
    ...['type', 'role', 'id', 'name', 'format', 'status', 'expires_at', 'annotations', 'citations'],
    ...['signature', 'thought_signature', 'extra_content', 'provider_specific_fields'],
  ],
  // Of audio its data; an image stands in a URL.
  innerMedia: ['data', 'url'],
}

/**
 * Chat and completions: the last event has usage and says nothing else; then comes `[DONE]`. Vendors differ: usage so
 * far on each event, in the last one that has choices, within those choices or in `x_groq`, no `[DONE]`, and an event
 * of usage for each of several answers.
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
  // Usage of another answer may follow, and where it does the first is not the whole.
  isOver: ({ isDone }) => isDone,
}

/** Responses: `response.usage` is null until the event that completes, fails or cuts off the answer. */
export const responsesStream: StreamGrammar = {
  words: {
    // Whatever its kind, an event of the answer's growth has it so.
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
  // A server that does not say how far the answer is may state usage at its start.
  isOver: ({ status }) => status !== '',
}

/** Members that hold what the model wrote in a whole answer. */
export const answerWords: StreamWords = { ...written, grows: ['message'], usageIn: [] }
