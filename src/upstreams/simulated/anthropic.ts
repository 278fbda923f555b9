import { type Answer, type AnswerEvent, lastTextIn, type Operation, textIn, wholeNumber } from './answer.ts'

/** Messages and count_tokens as Anthropic's API reference has them. */

function renderError(status: number, message: string): string {
  const types: Readonly<Record<number, string>> = {
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    504: 'timeout_error',
    529: 'overloaded_error',
  }
  const type = types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
  return JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_simulated' })
}

function inputOf({ usage }: Answer) {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWritten,
    cache_read_input_tokens: usage.cacheRead,
  }
}

function outputOf({ usage }: Answer) {
  const thinking = usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}
  return { output_tokens: usage.output + usage.reasoning, ...thinking }
}

function messageOf(
  answer: Answer,
  content: readonly object[],
  stop_reason: string | null,
  usage: object | undefined,
) {
  const head = { id: `msg_sim${answer.serial}`, type: 'message', role: 'assistant', model: answer.model }
  return { ...head, content, stop_reason, stop_sequence: null, ...(usage && { usage }) }
}

const stop = (answer: Answer): string => (answer.isCapped ? 'max_tokens' : 'end_turn')

function* messageEvents(answer: Answer): Iterable<AnswerEvent> {
  const event = (type: string, more: object = {}, units = 0): AnswerEvent => ({
    name: type,
    data: JSON.stringify({ type, ...more }),
    units,
  })
  const { noUsage } = answer.behaviour
  const first = noUsage ? undefined : { ...inputOf(answer), output_tokens: 1, service_tier: 'standard' }
  const known = noUsage ? undefined : { ...answer.usage, output: 1, reasoning: 0 }
  yield { ...event('message_start', { message: messageOf(answer, [], null, first) }), usage: known }
  yield event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })
  yield event('ping')
  for (const text of answer.pieces) {
    yield event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }, 1)
  }
  yield event('content_block_stop', { index: 0 })
  const last = noUsage ? {} : { usage: { ...inputOf(answer), ...outputOf(answer) } }
  const delta = { stop_reason: stop(answer), stop_sequence: null }
  yield { ...event('message_delta', { delta, ...last }), usage: noUsage ? undefined : answer.usage }
  yield event('message_stop')
}

export const messages: Operation = {
  hasOutput: true,
  renderError,
  question: (request) => ({
    text: [textIn(request.system), textIn(request.messages)].filter((text) => text !== '').join(' '),
    asked: lastTextIn(request.messages),
    outputMax: wholeNumber(request.max_tokens),
  }),
  body: (answer) => {
    const content = [{ type: 'text', text: answer.pieces.join(''), citations: null }]
    const usage = { ...inputOf(answer), ...outputOf(answer), service_tier: 'standard' }
    return messageOf(answer, content, stop(answer), answer.behaviour.noUsage ? undefined : usage)
  },
  events: messageEvents,
}

export const countUnits: Operation = {
  hasOutput: false,
  isFree: true,
  renderError,
  events: undefined,
  question: messages.question,
  body: ({ usage }) => ({ input_tokens: usage.input + usage.cacheRead + usage.cacheWritten }),
}
