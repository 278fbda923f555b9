import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { announce } from '../support/child.ts'

/**
 * An upstream that answers as models do: both protocols, plain and streamed, with usage of every kind that differs from
 * request to request. A stream takes about a second.
 */
interface Figures {
  readonly fresh: number
  readonly cached: number
  readonly output: number
}

const chunks = 20

const between = (least: number, most: number) => least + Math.floor(Math.random() * (most - least + 1))
const figuresOf = (): Figures => ({
  fresh: between(5, 900),
  cached: between(0, 300),
  output: between(1, 700),
})

const openai = {
  usage: ({ fresh, cached, output }: Figures) => ({
    prompt_tokens: fresh + cached,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens: output,
    completion_tokens_details: { reasoning_tokens: Math.floor(output / 2) },
    total_tokens: fresh + cached + output,
  }),
  plain: (figures: Figures) => ({
    ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1_800_000_000, model: 'gpt-4o' },
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
    usage: openai.usage(figures),
  }),
  async *stream(figures: Figures) {
    const base = {
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1_800_000_000,
      model: 'gpt-4o',
    }
    for (let chunk = 0; chunk < chunks; chunk++) {
      yield {
        ...base,
        choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }],
        usage: null,
      }
      await wait(between(20, 80))
    }
    yield { ...base, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null }
    yield { ...base, choices: [], usage: openai.usage(figures) }
    yield '[DONE]'
  },
}

const anthropic = {
  usage: ({ fresh, cached, output }: Figures) => ({
    input_tokens: fresh,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: Math.floor(cached / 3),
    output_tokens: output,
  }),
  plain: (figures: Figures) => ({
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-4' },
    content: [{ type: 'text', text: 'Hello!' }],
    ...{ stop_reason: 'end_turn', stop_sequence: null, usage: anthropic.usage(figures) },
  }),
  async *stream(figures: Figures) {
    const start = { ...anthropic.plain(figures), content: [], stop_reason: null }
    yield { type: 'message_start', message: { ...start, usage: anthropic.usage({ ...figures, output: 1 }) } }
    yield { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }
    for (let chunk = 0; chunk < chunks; chunk++) {
      yield { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' word' } }
      await wait(between(20, 80))
    }
    yield { type: 'content_block_stop', index: 0 }
    const delta = { stop_reason: 'end_turn', stop_sequence: null }
    yield { type: 'message_delta', delta, usage: anthropic.usage(figures) }
    yield { type: 'message_stop' }
  },
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString()
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const protocol = request.url?.includes('/messages') ? anthropic : openai
  const isStream = JSON.parse(await readBody(request)).stream === true
  if (!isStream) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(protocol.plain(figuresOf())))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for await (const event of protocol.stream(figuresOf())) {
    if (response.destroyed) return
    const name = typeof event !== 'string' && 'type' in event ? `event: ${event.type}\n` : ''
    response.write(`${name}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
  }
  response.end()
}

const server = createServer({ noDelay: true }, (request, response) => {
  response.on('error', () => undefined)
  answer(request, response).catch(() => response.destroy())
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') announce({ url: `http://127.0.0.1:${address.port}` })
})
