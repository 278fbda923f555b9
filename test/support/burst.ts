import assert from 'node:assert/strict'
import { call } from './gateway-client.ts'

/** One kind of request: its protocol, and whether it streams. */
export interface RequestKind {
  readonly path: string
  readonly model: string
  readonly family: string
  readonly stream: boolean
}

export const requestKinds: readonly RequestKind[] = [
  { path: '/v1/chat/completions', model: 'gpt-4o@units=40', family: 'gpt4', stream: false },
  { path: '/v1/chat/completions', model: 'gpt-4o@units=40', family: 'gpt4', stream: true },
  { path: '/v1/messages', model: 'claude-x@units=40', family: 'claude', stream: false },
  { path: '/v1/messages', model: 'claude-x@units=40', family: 'claude', stream: true },
]

const outputMax = 40

export const bodyOf = ({ model, stream }: RequestKind, content = 'Hi') => ({
  model,
  stream,
  max_tokens: outputMax,
  messages: [{ role: 'user', content }],
})

/** How much one such request reserves, read from a refusal. */
export async function unitsNeeded(port: number, accessToken: string, kind: RequestKind): Promise<number> {
  const refused = await call(port, { path: kind.path, accessToken, body: bodyOf(kind) })
  const needed = Number(/needs up to (\d+) units/.exec(refused.text)?.[1])
  assert.ok(needed > 0, refused.text)
  return needed
}
