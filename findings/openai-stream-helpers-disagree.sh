#!/usr/bin/env bash
# In a chunk of a chat completion `role` is optional, and with `n: 2` nothing says which choice speaks first. The iterator
# (`create({ stream: true })`) takes either; the helper `chat.completions.stream` does not, and each language stumbles over
# the other case. (openai 7.57.0 for JavaScript, openai 3.57.0 for Python.)
#
#   the stream                                    JavaScript                            Python
#   no chunk says the role                        throws: missing role for choice 0     a message with role None
#   choice 1 speaks before choice 0               both choices                          IndexError
#   no chunk says a finish_reason                 throws: missing finish_reason         a message with finish_reason None
#
# So a local server that seems to work may fail as soon as an application uses the helper.
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

const chunk = (index, delta, finish_reason = null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index, delta, finish_reason }] })}\n\n`
const role = 'assistant'
const streams = {
  roleless: chunk(0, { content: 'a' }, 'stop'),
  second: chunk(1, { role, content: 'b' }, 'stop') + chunk(0, { role, content: 'a' }, 'stop'),
  endless: chunk(0, { role, content: 'a' }),
}
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(`${streams[request.url.split('/')[1]]}data: [DONE]\n\n`)
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

for (const kind of ['roleless', 'second', 'endless']) {
  const client = new OpenAI({ baseURL: `${process.env.URL}/${kind}`, apiKey: 'k', maxRetries: 0 })
  try {
    const stream = client.chat.completions.stream({ model: 'm', n: 2, messages: [{ role: 'user', content: 'Hello' }] })
    const { choices } = await stream.finalChatCompletion()
    console.log(`js, ${kind}: ${choices.map(({ message }) => message?.content).sort()}`)
  } catch (error) {
    console.log(`js, ${kind}: ${error.message}`)
  }
}
JS
cat > client.py <<'PY'
import os, openai

for kind in ["roleless", "second", "endless"]:
    client = openai.OpenAI(base_url=f"{os.environ['URL']}/{kind}", api_key="k", max_retries=0)
    try:
        with client.chat.completions.stream(model="m", n=2, messages=[{"role": "user", "content": "Hello"}]) as stream:
            choices = stream.get_final_completion().choices
        print(f"py, {kind}: " + ", ".join(f"{c.message.content} role {c.message.role} end {c.finish_reason}" for c in choices))
    except Exception as error:
        print(f"py, {kind}: {type(error).__name__}")
PY
{ node client.mjs; venv/bin/python client.py; } | tee seen.txt
diff - seen.txt <<'SEEN' && echo 'as described'
js, roleless: missing role for choice 0
js, second: a,b
js, endless: missing finish_reason for choice 0
py, roleless: a role None end stop
py, second: IndexError
py, endless: a role assistant end None
SEEN
