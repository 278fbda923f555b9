#!/usr/bin/env bash
# An `event:` line names a server-sent event; OpenAI's clients ignore the name on chat completions, with one exception: a
# name that begins with "thread." (the Assistants API's) changes the shape of what the caller gets, on every endpoint. In
# JavaScript the chunk comes wrapped, as { event, data }; in Python all fields of the chunk are None. No error in either.
# (openai 7.57.0 for JavaScript, openai 3.57.0 for Python.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","private":true}' > package.json
npm install --silent --no-fund --no-audit openai@7.57.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openai==3.57.0

cat > server.mjs <<'JS'
import { createServer } from 'node:http'

const chunk = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }] }
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(`event: ${request.url.split('/')[1]}\ndata: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`)
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
JS
node server.mjs > port.txt &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ -s port.txt ]; do sleep 0.05; done
export URL="http://127.0.0.1:$(cat port.txt)"

cat > client.mjs <<'JS'
import OpenAI from 'openai'

for (const name of ['message', 'threads', 'thread.part']) {
  const client = new OpenAI({ baseURL: `${process.env.URL}/${name}`, apiKey: 'k', maxRetries: 0 })
  const stream = await client.chat.completions.create({ model: 'm', stream: true, messages: [{ role: 'user', content: 'Hello' }] })
  for await (const part of stream) console.log(`js, ${name}: id ${part.id}, members ${Object.keys(part).slice(0, 2)}`)
}
JS
cat > client.py <<'PY'
import os, openai

for name in ["message", "threads", "thread.part"]:
    client = openai.OpenAI(base_url=f"{os.environ['URL']}/{name}", api_key="k", max_retries=0)
    for part in client.chat.completions.create(model="m", stream=True, messages=[{"role": "user", "content": "Hello"}]):
        print(f"py, {name}: id {part.id}, choices {'None' if part.choices is None else len(part.choices)}")
PY
{ node client.mjs; venv/bin/python client.py; } | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
js, message: id c1, members id,object
js, threads: id c1, members id,object
js, thread.part: id undefined, members event,data
py, message: id c1, choices 1
py, threads: id c1, choices 1
py, thread.part: id None, choices None
SEEN
