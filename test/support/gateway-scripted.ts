import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/**
 * An upstream that sends what a test scripts, byte by byte. The simulated upstream behaves like the real ones; this
 * one is for what those should never send.
 */
export interface Scripted {
  /** The address without a path. */
  readonly origin: string
  readonly requests: readonly ScriptedRequest[]
  /** The script for each request from now on. */
  script: Script
  /** The number of open connections. */
  readonly connections: () => number
  readonly close: () => Promise<void>
}

export type Script = (request: ScriptedRequest, response: ServerResponse, socket: Socket) => unknown

export interface ScriptedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
  /** The connection closed before the answer had ended. */
  wasCut: boolean
}

export async function openScripted(script: Script): Promise<Scripted> {
  const requests: ScriptedRequest[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    for await (const chunk of request) chunks.push(chunk)
    const { method = '', url = '', headers, rawHeaders, socket } = request
    const received = {
      method,
      url,
      headers,
      rawHeaders,
      body: Buffer.concat(chunks).toString(),
      wasCut: false,
    }
    requests.push(received)
    response.on('close', () => {
      received.wasCut = !response.writableFinished
    })
    await scripted.script(received, response, socket)
  }
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const scripted: Scripted = {
    origin: `http://127.0.0.1:${port}`,
    requests,
    script,
    connections: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
  return scripted
}

/** An address without a listener. */
export async function closedOrigin(): Promise<string> {
  const scripted = await openScripted(() => {})
  await scripted.close()
  return scripted.origin
}

/** Resolves once all that was written to a connection has left it, so that its end comes after that. */
export function written(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.write('', () => resolve()))
}

/** Answers with JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Script {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(value))
  }
}

/** Answers with a stream of these pieces, each in a packet of its own. */
export function pieces(
  list: readonly (string | Buffer)[],
  headers: Readonly<Record<string, string>> = {},
): Script {
  return async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers })
    for (const piece of list) {
      response.write(piece)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    response.end()
  }
}

export const chatAnswer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
}

export function chatChunk(text: string): string {
  const choices = [{ index: 0, delta: { content: text }, finish_reason: null }]
  return event({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-4o',
    choices,
    usage: null,
  })
}

export function chatUsage(input: number, output: number): string {
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
  return event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [], usage })
}

export const done = 'data: [DONE]\n\n'

export function event(data: unknown, name?: string): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`
}

export function messageStart(input: number): string {
  const usage = {
    input_tokens: input,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 1,
  }
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-x',
    content: [],
    stop_reason: null,
    usage,
  }
  return event({ type: 'message_start', message }, 'message_start')
}

export function messageText(text: string): string {
  return event(
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    'content_block_delta',
  )
}

export function messageDelta(output: number): string {
  const delta = { stop_reason: 'end_turn', stop_sequence: null }
  return event({ type: 'message_delta', delta, usage: { output_tokens: output } }, 'message_delta')
}

export const messageStop = event({ type: 'message_stop' }, 'message_stop')
