#!/usr/bin/env bash
# How long do the official clients wait when a 429 says `Retry-After`? Each of the four has a rule of its own, and beyond
# a minute no two agree. (openai 7.57.0 and @anthropic-ai/sdk 1.12.0 for JavaScript; openai 3.57.0 and anthropic 2.14.0 for
# Python; each with one retry allowed.)
#
#   Retry-After   openai JS          openai Python     anthropic JS        anthropic Python
#   59            waits 59 s         waits 59 s        waits 59 s          waits 59 s
#   61            again in < 1 s     waits 61 s        waits 61 s          waits 61 s
#   121           again in < 1 s     gives up          waits 121 s         waits 121 s
#   2592000       again in < 1 s     gives up          again in < 1 s      waits 30 days
#   0             again at once      again in < 1 s    again in < 1 s      again in < 1 s
#
# A server that names the true instant at which a monthly quota starts anew freezes one client for 30 days, makes two ask
# again within a second, and is obeyed by one. `x-should-retry: false` stops all four.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","private":true}' > package.json
npm install --silent --no-fund --no-audit openai@7.57.0 @anthropic-ai/sdk@1.12.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openai==3.57.0 anthropic==2.14.0

cat > clients.mjs <<'JS'
import { createServer } from 'node:http'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

// Waits are noted, and not waited for. Those of the connection pool (3 s) and of the whole request (10 min) are no retries.
const later = globalThis.setTimeout
let waits = []
let isCounting = false
globalThis.setTimeout = (work, ms, ...rest) => {
  if (!isCounting || ms === 3000 || ms === 600000 || !(ms > 1)) return later(work, ms, ...rest)
  waits.push(ms)
  return later(work, 1, ...rest)
}
let [headers, requests] = [{}, 0]
const server = createServer((request, response) => {
  requests++
  response.writeHead(429, { 'content-type': 'application/json', ...headers }).end('{"error":{"message":"wait"}}')
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${server.address().port}`
const clients = {
  'openai js': () => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'k', maxRetries: 1 }),
  'anthropic js': () => new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 1 }),
}
const [first] = Object.values(clients)
await first().models.list().catch(() => {})
for (const seconds of ['59', '61', '121', '2592000', '0', 'never'])
  for (const [name, make] of Object.entries(clients)) {
    headers = seconds === 'never' ? { 'x-should-retry': 'false', 'retry-after': '1' } : { 'retry-after': seconds }
    ;[requests, waits, isCounting] = [0, [], true]
    await make().models.list().catch(() => {})
    isCounting = false
    const longest = Math.max(0, ...waits)
    const said = requests === 1 ? 'gives up' : longest < 1000 ? 'again within 1 s' : `waits ${longest / 1000} s`
    console.log(`${name}: ${seconds}: ${said}`)
  }
server.close()
server.closeAllConnections()
JS

cat > clients.py <<'PY'
import http.server, threading, time
import anthropic, openai

headers, requests, waits = {}, 0, []
time.sleep = waits.append

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        global requests
        requests += 1
        self.send_response(429)
        for name, value in headers.items(): self.send_header(name, value)
        self.end_headers()

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
clients = {
    "openai py": lambda: openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=1),
    "anthropic py": lambda: anthropic.Anthropic(base_url=url, api_key="k", max_retries=1),
}
for seconds in ["59", "61", "121", "2592000", "0", "never"]:
    for name, make in clients.items():
        headers = {"x-should-retry": "false", "retry-after": "1"} if seconds == "never" else {"retry-after": seconds}
        requests = 0
        waits.clear()
        try: make().models.list()
        except Exception: pass
        longest = max([0, *waits])
        said = "gives up" if requests == 1 else "again within 1 s" if longest < 1 else f"waits {longest:.0f} s"
        print(f"{name}: {seconds}: {said}")
PY

node clients.mjs > seen.txt 2>/dev/null
venv/bin/python clients.py >> seen.txt
sort -o seen.txt seen.txt
sort > expected.txt <<'SEEN'
openai js: 59: waits 59 s
openai js: 61: again within 1 s
openai js: 121: again within 1 s
openai js: 2592000: again within 1 s
openai js: 0: again within 1 s
openai js: never: gives up
anthropic js: 59: waits 59 s
anthropic js: 61: waits 61 s
anthropic js: 121: waits 121 s
anthropic js: 2592000: again within 1 s
anthropic js: 0: again within 1 s
anthropic js: never: gives up
openai py: 59: waits 59 s
openai py: 61: waits 61 s
openai py: 121: gives up
openai py: 2592000: gives up
openai py: 0: again within 1 s
openai py: never: gives up
anthropic py: 59: waits 59 s
anthropic py: 61: waits 61 s
anthropic py: 121: waits 121 s
anthropic py: 2592000: waits 2592000 s
anthropic py: 0: again within 1 s
anthropic py: never: gives up
SEEN
cat seen.txt
diff expected.txt seen.txt && echo 'as described'
