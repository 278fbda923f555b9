/** One answer as a client read it. */
export interface Told {
  readonly status: number
  /** Units that the answer says were used; 0 where it says nothing. */
  readonly units: number
  readonly text: string
}

export interface Question {
  readonly method?: string
  readonly path: string
  readonly key: string
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** Asks, and reads the answer to its end. Rejects where the connection breaks, or the signal ends it. */
export async function ask(url: string, { method, path, key, body, signal }: Question): Promise<Told> {
  const response = await fetch(url + path, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  })
  const text = await response.text()
  return { status: response.status, units: response.status === 200 ? unitsIn(text) : 0, text }
}

const say = [{ role: 'user', content: 'Say hello to the whole world.' }]

export type Protocol = 'openai' | 'anthropic'

export const relayOf = (protocol: Protocol, key: string, stream: boolean): Question =>
  protocol === 'openai'
    ? {
        path: '/v1/chat/completions',
        key,
        body: {
          model: 'gpt-4o',
          messages: say,
          stream,
          ...(stream && { stream_options: { include_usage: true } }),
        },
      }
    : {
        path: '/v1/messages',
        key,
        body: { model: 'claude-sonnet-4', max_tokens: 900, messages: say, stream },
      }

/** OpenAI states a total; Anthropic four figures, of which the last in a stream count. */
export function unitsIn(text: string): number {
  const total = text.match(/"total_tokens":(\d+)/)?.[1]
  if (total !== undefined) return Number(total)
  const last = (name: string) =>
    Number([...text.matchAll(new RegExp(`"${name}":(\\d+)`, 'g'))].at(-1)?.[1] ?? 0)
  return ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'output_tokens']
    .map(last)
    .reduce((sum, units) => sum + units, 0)
}
