#!/usr/bin/env bash
# An answer of Anthropic's that reaches `max_tokens` in the middle of a tool call ends in the middle of that call's JSON. The
# clients' `messages.stream` helper hands the call on all the same, as a whole and valid object: members that were cut are
# missing, and of a number cut in its middle Python keeps the digits that came, where JavaScript drops the member. No error
# in either; only `stop_reason` tells. (@anthropic-ai/sdk 1.12.0, anthropic 2.14.0 for Python.)
#
#   what came                                  JavaScript            Python
#   {"path":"a.txt","text":"hel                {"path":"a.txt"}      {"path":"a.txt"}
#   {"n":12   (of 1200, say)                   {}                    {"n":12}
#
# An agent that runs each tool call it finds then deletes 12 files of 1200, or writes an empty one. A gateway that lowers
# `max_tokens` to what a quota leaves makes this likelier, and should refuse before it caps to a few units.
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

const event = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null }
const inputs = ['{"path":"a.txt","text":"hel', '{"n":12']
const server = createServer((request, response) => {
  const partial_json = inputs[Number(request.url.split('/')[1])]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(
    event('message_start', { message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } }) +
      event('content_block_start', { index: 0, content_block: { type: 'tool_use', id: 't1', name: 'f', input: {} } }) +
      event('content_block_delta', { index: 0, delta: { type: 'input_json_delta', partial_json } }) +
      event('content_block_stop', { index: 0 }) +
      event('message_delta', { delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 9 } }) +
      event('message_stop', {}),
  )
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

for (const kind of ['0', '1']) {
  const client = new Anthropic({ baseURL: `${process.env.URL}/${kind}`, apiKey: 'k', maxRetries: 0 })
  const stream = client.messages.stream({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hello' }] })
  const { content } = await stream.finalMessage()
  console.log(`js: ${JSON.stringify(content[0].input)}`)
}
JS
cat > client.py <<'PY'
import json, os, anthropic

for kind in ["0", "1"]:
    client = anthropic.Anthropic(base_url=f"{os.environ['URL']}/{kind}", api_key="k", max_retries=0)
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]) as stream:
        content = stream.get_final_message().content
    print(f"py: {json.dumps(content[0].input, separators=(',', ':'))}")
PY
{ node client.mjs; venv/bin/python client.py; } | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
js: {"path":"a.txt"}
js: {}
py: {"path":"a.txt"}
py: {"n":12}
SEEN
