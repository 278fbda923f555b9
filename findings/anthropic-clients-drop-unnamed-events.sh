#!/usr/bin/env bash
# A server-sent event without an `event:` line is a valid event (its name is "message"), and each of Anthropic's events says
# its type in its data as well. The official clients go by the `event:` line alone: a complete stream without those lines
# iterates zero events and ends without an error. (@anthropic-ai/sdk 1.12.0, anthropic 2.14.0 for Python.)
# A proxy that writes streams anew, with the data alone as OpenAI's streams have it, hands its users empty answers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","private":true}' > package.json
npm install --silent --no-fund --no-audit @anthropic-ai/sdk@1.12.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check anthropic==2.14.0

cat > server.mjs <<'JS'
import { createServer } from 'node:http'

const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null }
const events = [
  { type: 'message_start', message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } },
  { type: 'message_stop' },
]
const named = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(request.url.startsWith('/named') ? named : named.replace(/^event: .*\n/gm, ''))
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

for (const kind of ['named', 'unnamed']) {
  const client = new Anthropic({ baseURL: `${process.env.URL}/${kind}`, apiKey: 'k', maxRetries: 0 })
  const stream = await client.messages.create({
    model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'Hello' }],
  })
  let count = 0
  for await (const _ of stream) count++
  console.log(`js, ${kind}: ${count} events, no error`)
}
JS
cat > client.py <<'PY'
import os, anthropic

for kind in ["named", "unnamed"]:
    client = anthropic.Anthropic(base_url=f"{os.environ['URL']}/{kind}", api_key="k", max_retries=0)
    stream = client.messages.create(
        model="m", max_tokens=9, stream=True, messages=[{"role": "user", "content": "Hello"}]
    )
    print(f"py, {kind}: {sum(1 for _ in stream)} events, no error")
PY
{ node client.mjs; venv/bin/python client.py; } | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
js, named: 6 events, no error
js, unnamed: 0 events, no error
py, named: 6 events, no error
py, unnamed: 0 events, no error
SEEN
