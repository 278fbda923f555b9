import type { Usage } from '#core/usage.ts'
import {
  type Answer,
  type AnswerEvent,
  lastTextIn,
  type Operation,
  type RequestBody,
  textIn,
  wholeNumber,
} from './answer.ts'
import { countInput } from './text.ts'

/** Chat completions, completions, responses and embeddings as OpenAI's API reference has them. */

function renderError(status: number, message: string): string {
  const types: Readonly<Record<number, readonly [string, string | null]>> = {
    401: ['invalid_request_error', 'invalid_api_key'],
    404: ['invalid_request_error', 'model_not_found'],
    429: ['requests', 'rate_limit_exceeded'],
  }
  const [type, code] = types[status] ?? [status < 500 ? 'invalid_request_error' : 'server_error', null]
  return JSON.stringify({ error: { message, type, param: null, code } })
}

/** Usage of chat and completions. */
function usageOf(usage: Usage) {
  const prompt = usage.input + usage.cacheRead + usage.cacheWritten
  const completion = usage.output + usage.reasoning
  const written = usage.cacheWritten > 0 ? { cache_write_tokens: usage.cacheWritten } : {}
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, audio_tokens: 0, ...written },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

const stated = <T>(answer: Answer, usage: T): T | undefined => (answer.behaviour.noUsage ? undefined : usage)
const seconds = (ms: number): number => Math.floor(ms / 1000)
const finish = (answer: Answer): string => (answer.isCapped ? 'length' : 'stop')
/** As the provider has it. */
const choicesMax = 128
const countOf = (request: RequestBody): number =>
  Math.min(choicesMax, Math.max(1, wholeNumber(request.n) ?? 1))
const asksUsage = (request: RequestBody): boolean =>
  (request.stream_options as { include_usage?: unknown } | null | undefined)?.include_usage === true

/** A string or a list of numbers is one input; a list of those as many. */
function inputsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) && typeof value[0] !== 'number' ? value : [value]
}

interface Dialect {
  readonly prefix: string
  readonly object: string
  readonly delta: (text: string, isFirst: boolean) => object
}

/** The chunks of chat and of completions: they differ in their names and in what a choice holds. */
function* chunksOf(answer: Answer, request: RequestBody, dialect: Dialect): Iterable<AnswerEvent> {
  const { behaviour, pieces, choices } = answer
  const asks = asksUsage(request) && !behaviour.noUsage
  const head = {
    id: `${dialect.prefix}-sim${answer.serial}`,
    object: dialect.object,
    created: seconds(answer.createdAt),
    model: answer.model,
    system_fingerprint: 'fp_simulated',
  }
  let visible = 0
  const chunk = (
    index: number,
    content: object,
    finish_reason: string | null,
    units: number,
  ): AnswerEvent => {
    visible += units
    const sofar = behaviour.cumulativeUsage ? { ...answer.usage, output: visible } : undefined
    const usage = sofar ? { usage: usageOf(sofar) } : asks ? { usage: null } : {}
    const body = { ...head, choices: [{ index, ...content, logprobs: null, finish_reason }], ...usage }
    return { data: JSON.stringify(body), units, usage: sofar }
  }
  for (let index = 0; index < choices; index += 1) {
    const first = dialect.delta('', true)
    if ('delta' in first) yield chunk(index, first, null, 0)
  }
  for (const piece of pieces) {
    for (let index = 0; index < choices; index += 1) yield chunk(index, dialect.delta(piece, false), null, 1)
  }
  for (let index = 0; index < choices; index += 1) {
    const last = dialect.delta('', false)
    yield chunk(index, 'delta' in last ? { delta: {} } : last, finish(answer), 0)
  }
  if (asks) {
    const { usage } = answer
    yield { data: JSON.stringify({ ...head, choices: [], usage: usageOf(usage) }), units: 0, usage }
  }
  yield { data: '[DONE]', units: 0 }
}

const chatDialect: Dialect = {
  prefix: 'chatcmpl',
  object: 'chat.completion.chunk',
  delta: (content, isFirst) => ({
    delta: isFirst ? { role: 'assistant', content, refusal: null } : { content },
  }),
}

export const chatCompletions: Operation = {
  hasOutput: true,
  renderError,
  question: (request) => ({
    text: textIn(request.messages),
    asked: lastTextIn(request.messages),
    outputMax: wholeNumber(request.max_completion_tokens) ?? wholeNumber(request.max_tokens),
    choices: countOf(request),
  }),
  body: (answer) => ({
    id: `chatcmpl-sim${answer.serial}`,
    object: 'chat.completion',
    created: seconds(answer.createdAt),
    model: answer.model,
    choices: Array.from({ length: answer.choices }, (_, index) => ({
      index,
      message: { role: 'assistant', content: answer.pieces.join(''), refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: finish(answer),
    })),
    usage: stated(answer, usageOf(answer.usage)),
    service_tier: 'default',
    system_fingerprint: 'fp_simulated',
  }),
  events: (answer, request) => chunksOf(answer, request, chatDialect),
}

const textDialect: Dialect = { prefix: 'cmpl', object: 'text_completion', delta: (text) => ({ text }) }

export const completions: Operation = {
  hasOutput: true,
  renderError,
  question: (request) => ({
    text: textIn(request.prompt),
    outputMax: wholeNumber(request.max_tokens) ?? 16,
    choices: countOf(request) * inputsOf(request.prompt).length,
  }),
  body: (answer) => ({
    id: `cmpl-sim${answer.serial}`,
    object: 'text_completion',
    created: seconds(answer.createdAt),
    model: answer.model,
    choices: Array.from({ length: answer.choices }, (_, index) => ({
      text: answer.pieces.join(''),
      index,
      logprobs: null,
      finish_reason: finish(answer),
    })),
    usage: stated(answer, usageOf(answer.usage)),
  }),
  events: (answer, request) => chunksOf(answer, request, textDialect),
}

function responseOf(
  answer: Answer,
  status: 'in_progress' | 'completed' | 'incomplete',
  output: readonly object[],
) {
  const { usage } = answer
  const input = usage.input + usage.cacheRead + usage.cacheWritten
  const written = usage.output + usage.reasoning
  const isOver = status !== 'in_progress'
  return {
    id: `resp_sim${answer.serial}`,
    object: 'response',
    created_at: seconds(answer.createdAt),
    status,
    background: false,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: null,
    model: answer.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    store: false,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage:
      isOver && !answer.behaviour.noUsage
        ? {
            input_tokens: input,
            input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWritten },
            output_tokens: written,
            output_tokens_details: { reasoning_tokens: usage.reasoning },
            total_tokens: input + written,
          }
        : null,
    user: null,
    metadata: {},
  }
}

function messageOf(
  answer: Answer,
  status: 'in_progress' | 'completed' | 'incomplete',
  text: string | undefined,
) {
  const content = text === undefined ? [] : [{ type: 'output_text', annotations: [], logprobs: [], text }]
  return { id: `msg_sim${answer.serial}`, type: 'message', status, role: 'assistant', content }
}

function* responseEvents(answer: Answer): Iterable<AnswerEvent> {
  let sequence = 0
  const event = (type: string, more: object, units = 0): AnswerEvent => {
    const data = JSON.stringify({ type, sequence_number: sequence, ...more })
    sequence += 1
    return { name: type, data, units }
  }
  const status = answer.isCapped ? 'incomplete' : 'completed'
  const text = answer.pieces.join('')
  const place = { item_id: `msg_sim${answer.serial}`, output_index: 0, content_index: 0 }
  const part = (shown: string) => ({ type: 'output_text', annotations: [], logprobs: [], text: shown })
  yield event('response.created', { response: responseOf(answer, 'in_progress', []) })
  yield event('response.in_progress', { response: responseOf(answer, 'in_progress', []) })
  yield event('response.output_item.added', {
    output_index: 0,
    item: messageOf(answer, 'in_progress', undefined),
  })
  yield event('response.content_part.added', { ...place, part: part('') })
  for (const delta of answer.pieces)
    yield event('response.output_text.delta', { ...place, delta, logprobs: [] }, 1)
  yield event('response.output_text.done', { ...place, text, logprobs: [] })
  yield event('response.content_part.done', { ...place, part: part(text) })
  const item = messageOf(answer, status, text)
  yield event('response.output_item.done', { output_index: 0, item })
  const last = event(`response.${status}`, { response: responseOf(answer, status, [item]) })
  yield { ...last, usage: stated(answer, answer.usage) }
}

export const responses: Operation = {
  hasOutput: true,
  renderError,
  question: (request) => ({
    text: [textIn(request.instructions), textIn(request.input)].filter((text) => text !== '').join(' '),
    asked: lastTextIn(request.input),
    outputMax: wholeNumber(request.max_output_tokens),
  }),
  body: (answer) => {
    const status = answer.isCapped ? 'incomplete' : 'completed'
    return responseOf(answer, status, [messageOf(answer, status, answer.pieces.join(''))])
  },
  events: responseEvents,
}

const dimensionsDefault = 256
/** More than any model has. */
const dimensionsMax = 8192

export const embeddings: Operation = {
  hasOutput: false,
  renderError,
  events: undefined,
  question: (request) => ({ text: textIn(request.input), outputMax: undefined }),
  body: (answer, request) => {
    const dimensions = Math.min(dimensionsMax, wholeNumber(request.dimensions) ?? dimensionsDefault)
    const { prompt_tokens, total_tokens } = usageOf(answer.usage)
    return {
      object: 'list',
      data: inputsOf(request.input).map((each, index) => ({
        object: 'embedding',
        index,
        embedding: vectorOf(textIn(each), dimensions, request.encoding_format === 'base64'),
      })),
      model: answer.model,
      usage: stated(answer, { prompt_tokens, total_tokens }),
    }
  },
}

function vectorOf(text: string, dimensions: number, asBase64: boolean): readonly number[] | string {
  const seed = countInput(text) + text.length
  const vector = Float32Array.from(
    { length: dimensions },
    (_, at) => Math.sin(seed + at) / Math.sqrt(dimensions / 2),
  )
  return asBase64 ? Buffer.from(vector.buffer).toString('base64') : [...vector]
}
