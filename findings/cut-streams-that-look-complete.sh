#!/usr/bin/env bash
# What do the official clients say of a stream that ends in its middle, with the connection closed in order? In one table:
#
#   the stream ends                           openai JS    openai Python      anthropic JS   anthropic Python
#   between two events, before the last one   complete     complete           an error       complete, stop_reason None
#   in the middle of an event                 an error     complete, part     -              -
#                                                          of it dropped
#   after the last event's one line end       complete     complete without   -              -
#   (no blank line)                                        that last event
#
# (openai 7.57.0 and 3.57.0, @anthropic-ai/sdk 1.12.0 and anthropic 2.14.0; Anthropic's by their `messages.stream` helper.)
# So a gateway must break the connection off where an answer was cut: an orderly end reads as a whole answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","private":true}' > package.json
npm install --silent --no-fund --no-audit openai@7.57.0 @anthropic-ai/sdk@1.12.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openai==3.57.0 anthropic==2.14.0

cat > server.mjs <<'JS'
import { createServer } from 'node:http'

const chunk = (content) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}`
const event = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null }
const answers = {
  between: `${chunk('a')}\n\n`,
  middle: `${chunk('a')}\n\n${chunk('b').slice(0, 40)}`,
  unblank: `${chunk('a')}\n\n${chunk('b')}\n`,
  anthropic:
    event('message_start', { message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } }) +
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }) +
    event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Hel' } }),
}
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answers[request.url.split('/')[1]])
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
JS
node server.mjs > port.txt &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ -s port.txt ]; do sleep 0.05; done
export URL="http://127.0.0.1:$(cat port.txt)"

cat > client.mjs <<'JS'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

console.error = () => {}
const messages = [{ role: 'user', content: 'Hello' }]
for (const kind of ['between', 'middle', 'unblank']) {
  const client = new OpenAI({ baseURL: `${process.env.URL}/${kind}`, apiKey: 'k', maxRetries: 0 })
  let text = ''
  try {
    for await (const part of await client.chat.completions.create({ model: 'm', stream: true, messages }))
      text += part.choices[0].delta.content
    console.log(`openai js, ${kind}: complete: ${text}`)
  } catch {
    console.log(`openai js, ${kind}: an error after: ${text}`)
  }
}
const client = new Anthropic({ baseURL: `${process.env.URL}/anthropic`, apiKey: 'k', maxRetries: 0 })
try {
  const { stop_reason } = await client.messages.stream({ model: 'm', max_tokens: 9, messages }).finalMessage()
  console.log(`anthropic js: complete, stop_reason ${stop_reason}`)
} catch {
  console.log('anthropic js: an error')
}
JS
cat > client.py <<'PY'
import os, anthropic, openai

url, messages = os.environ["URL"], [{"role": "user", "content": "Hello"}]
for kind in ["between", "middle", "unblank"]:
    client = openai.OpenAI(base_url=f"{url}/{kind}", api_key="k", max_retries=0)
    text = ""
    try:
        for part in client.chat.completions.create(model="m", stream=True, messages=messages):
            text += part.choices[0].delta.content
        print(f"openai py, {kind}: complete: {text}")
    except Exception:
        print(f"openai py, {kind}: an error after: {text}")
client = anthropic.Anthropic(base_url=f"{url}/anthropic", api_key="k", max_retries=0)
try:
    with client.messages.stream(model="m", max_tokens=9, messages=messages) as stream:
        final = stream.get_final_message()
    print(f"anthropic py: complete, stop_reason {final.stop_reason}: {final.content[0].text}")
except Exception:
    print("anthropic py: an error")
PY
{ node client.mjs; venv/bin/python client.py; } | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
openai js, between: complete: a
openai js, middle: an error after: a
openai js, unblank: complete: ab
anthropic js: an error
openai py, between: complete: a
openai py, middle: complete: a
openai py, unblank: complete: a
anthropic py: complete, stop_reason None: Hel
SEEN
