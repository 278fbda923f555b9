import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { waitUntil } from './gateway-harness.ts'

/** How a protocol asks for a stream, and how a stream reports an error. */
export interface StreamProtocol {
  readonly path: string
  readonly model: string
  /** The first group matches the error's message. */
  readonly error: RegExp
}

export const streamProtocols: readonly StreamProtocol[] = [
  { path: '/v1/chat/completions', model: 'gpt-4o', error: /^data: \{"error":\{"message":"(.*?)"/m },
  { path: '/v1/messages', model: 'claude-x', error: /^event: error\ndata: .*"message":"(.*?)"/m },
]

export const streamBodyOf = ({ model }: StreamProtocol, units: number) => ({
  model: `${model}@units=${units}`,
  max_tokens: 5000,
  stream: true,
  messages: [{ role: 'user', content: 'Hi' }],
})

/** A stream that would run for over a minute, and its outcome. */
export interface EndlessStream {
  readonly runs: () => Promise<void>
  readonly hasEnded: () => boolean
  readonly text: () => string
  /** The message that ended the stream; fails where it took longer than a second from `since`. */
  readonly cutWithin: (since: number, ms?: number) => Promise<string>
  readonly close: () => void
}

export function openEndlessStream(
  port: number,
  protocol: StreamProtocol,
  accessToken: string,
  address = '192.0.2.1',
  more: Readonly<Record<string, string>> = {},
): EndlessStream {
  let text = ''
  let endedAt: number | undefined
  const headers = {
    authorization: `Bearer ${accessToken}`,
    'content-type': 'application/json',
    'x-forwarded-for': address,
    ...more,
  }
  const sent = httpRequest(
    { host: '127.0.0.1', port, method: 'POST', path: protocol.path, headers, agent: false },
    (response) => {
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.on('error', () => {})
      response.on('close', () => {
        endedAt = performance.now()
      })
    },
  )
  sent.on('error', () => {})
  sent.end(JSON.stringify(streamBodyOf(protocol, 3000)))
  return {
    runs: () => waitUntil(() => text.split('\n').length > 6, 'the stream runs'),
    hasEnded: () => endedAt !== undefined,
    text: () => text,
    async cutWithin(since, ms = 1000) {
      await waitUntil(() => endedAt !== undefined, 'the stream is cut', ms + 2000)
      assert.ok((endedAt ?? 0) - since < ms, `it took ${Math.round((endedAt ?? 0) - since)} ms`)
      return protocol.error.exec(text)?.[1] ?? assert.fail(`no error event in …${text.slice(-300)}`)
    },
    close: () => sent.destroy(),
  }
}
