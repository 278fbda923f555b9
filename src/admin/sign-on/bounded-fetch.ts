import type { CustomFetch } from 'openid-client'

/** A discovery document, a set of keys or a token with many groups is far below it. */
const answerBytesMax = 1024 ** 2

/** `fetch` that reads no endless answer. */
export const boundedFetch: CustomFetch = async (url, { body, ...options }) => {
  const response = await fetch(url, { ...options, body: body ?? null })
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength
    if (length > answerBytesMax) throw new RangeError('an answer of the provider is too large')
    chunks.push(chunk)
  }
  const { status, headers } = response
  return new Response(length === 0 ? null : Buffer.concat(chunks), { status, headers })
}
