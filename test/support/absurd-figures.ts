import type { ServerResponse } from 'node:http'
import type { ScriptedRequest } from './gateway-scripted.ts'

/** Figures that no real request can have used, as JSON text. */
export const absurdFigures: Readonly<Record<string, string>> = {
  'the largest exact number': '9007199254740991',
  'one that is not exact': '9007199254740992',
  'a huge one': '1e300',
  'a negative one': '-1',
  'a part of one': '1.5',
  'one beyond 64 bits': '9223372036854775808',
  'a text': '"9007199254740993"',
  nothing: 'null',
  'one beyond the bound': '1000000000001',
  'twenty digits': '12345678901234567890',
}

/** What the upstream reports for an ordinary request. */
export const ordinaryUnits = 12

const json = { 'content-type': 'application/json' }
const stream = { 'content-type': 'text/event-stream' }

/**
 * An upstream of both protocols. It reports the figure that the request's model names after `@`, in a plain answer or
 * a stream; without a figure it answers in the ordinary way.
 */
export function answerWithFigure({ url, body }: ScriptedRequest, response: ServerResponse): void {
  const figure = absurdFigures[/@([^"]*)"/.exec(body)?.[1] ?? '']
  const isStream = /"stream":\s*true/.test(body)
  response.writeHead(200, isStream ? stream : json)
  const isOpenai = url.includes('chat')
  const answer = isOpenai ? openaiAnswer(figure, isStream) : anthropicAnswer(figure, isStream)
  response.end(answer)
}

function openaiAnswer(figure: string | undefined, isStream: boolean): string {
  const usage = `{"prompt_tokens":${figure ?? 7},"completion_tokens":${figure ?? 5},"total_tokens":${figure ?? 12}}`
  const head = '"id":"c","created":1,"model":"gpt-4o"'
  const message = '{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}'
  if (!isStream) return `{${head},"object":"chat.completion","choices":[${message}],"usage":${usage}}`
  const delta = '{"index":0,"delta":{"content":"Hello"},"finish_reason":null}'
  const chunk = (rest: string) => `data: {${head},"object":"chat.completion.chunk",${rest}}\n\n`
  return `${chunk(`"choices":[${delta}]`)}${chunk(`"choices":[],"usage":${usage}`)}data: [DONE]\n\n`
}

function anthropicAnswer(figure: string | undefined, isStream: boolean): string {
  const usage = `{"input_tokens":${figure ?? 7},"output_tokens":${figure ?? 5}}`
  const message = `"id":"m","type":"message","role":"assistant","model":"claude-x","usage":${usage}`
  if (!isStream) return `{${message},"content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}`
  const event = (type: string, rest: string) => `event: ${type}\ndata: {"type":"${type}"${rest}}\n\n`
  const delta = ',"index":0,"delta":{"type":"text_delta","text":"Hello"}'
  const last = `,"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":${figure ?? 5}}`
  return [
    event('message_start', `,"message":{${message},"content":[]}`),
    event('content_block_delta', delta),
    event('message_delta', last),
    event('message_stop', ''),
  ].join('')
}
