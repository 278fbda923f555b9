#!/usr/bin/env bash
# Vercel's AI SDK speaks OpenAI's and Anthropic's protocols without their clients, and with rules of its own for refusals
# (ai 6.0.326, @ai-sdk/openai-compatible 2.0.92, @ai-sdk/anthropic 3.0.140):
#
# - `x-should-retry: false`, which all official clients obey, is not looked at: 429, 409 and 5xx are asked three times.
# - a `Retry-After` of 61 s or more is not waited for: it asks again after 2 s, and then after 4 s. One of 5 s is waited for.
# - `for await (const text of streamText(…).textStream)` on a refused request ends as an empty text, without an exception.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","private":true}' > package.json
npm install --silent --no-fund --no-audit ai@6.0.326 @ai-sdk/openai-compatible@2.0.92 @ai-sdk/anthropic@3.0.140 zod@4.6.7

cat > client.mjs <<'JS'
import { createServer } from 'node:http'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText } from 'ai'

// Waits are noted, and not waited for; those of 3 s are the connection pool's.
const later = globalThis.setTimeout
let waits = []
globalThis.setTimeout = (work, ms, ...rest) => {
  if (!(ms >= 1000) || ms === 3000) return later(work, ms, ...rest)
  waits.push(ms / 1000)
  return later(work, 1, ...rest)
}
let [headers, requests] = [{}, 0]
const server = createServer((request, response) => {
  requests++
  response.writeHead(429, { 'content-type': 'application/json', ...headers }).end('{"error":{"message":"no more"}}')
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const baseURL = `http://127.0.0.1:${server.address().port}/v1`
const models = {
  openai: createOpenAICompatible({ name: 'any', baseURL, apiKey: 'k' })('m'),
  anthropic: createAnthropic({ baseURL, apiKey: 'k' })('m'),
}
const cases = { 'never again': { 'x-should-retry': 'false', 'retry-after': '1' }, '5 s': { 'retry-after': '5' }, '61 s': { 'retry-after': '61' } }
for (const [name, model] of Object.entries(models)) {
  for (const [what, sent] of Object.entries(cases)) {
    ;[headers, requests, waits] = [sent, 0, []]
    await generateText({ model, prompt: 'Hello' }).catch(() => {})
    console.log(`${name}, ${what}: ${requests} requests, waits ${waits}`)
  }
  let text = ''
  for await (const part of streamText({ model, prompt: 'Hello', onError() {} }).textStream) text += part
  console.log(`${name}, streamed: no exception, text ${JSON.stringify(text)}`)
}
process.exit()
JS
node client.mjs 2>/dev/null | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
openai, never again: 3 requests, waits 1,1
openai, 5 s: 3 requests, waits 5,5
openai, 61 s: 3 requests, waits 2,4
openai, streamed: no exception, text ""
anthropic, never again: 3 requests, waits 1,1
anthropic, 5 s: 3 requests, waits 5,5
anthropic, 61 s: 3 requests, waits 2,4
anthropic, streamed: no exception, text ""
SEEN
