import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'
import { type Answer, call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { databases } from '../support/stores.ts'

/** See README.md: llama-server and LiteLLM as upstreams. Every answer passes a tap that keeps what was really sent. */

const home = process.env.LOCAL_SERVERS ?? assert.fail('LOCAL_SERVERS names the folder of the servers')
/** LiteLLM does not start without one. */
const serverKey = `sk-${randomUUID()}-${randomUUID()}`
const database = databases[0] ?? assert.fail('a database')

async function start(command: string, args: readonly string[], url: string): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: 'ignore' })
  for (let tries = 0; tries < 600; tries += 1) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return child
    assert.equal(child.exitCode, null, `${command} has ended`)
    await setTimeout(200)
  }
  return assert.fail(`${command} did not start`)
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null) return
  child.kill()
  await once(child, 'exit')
}

interface Tap {
  readonly origin: string
  /** What the server sent last, to the byte. */
  readonly last: () => string
  readonly close: () => void
}

/** Hands everything on to a server. */
async function openTap(target: string): Promise<Tap> {
  let last = ''
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy())
  })

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const answer = await fetch(target + request.url, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${serverKey}` },
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    })
    last = ''
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
    for await (const chunk of answer.body ?? []) {
      last += Buffer.from(chunk).toString('latin1')
      response.write(chunk)
    }
    response.end()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, last: () => last, close: () => server.close() }
}

/** Every total that an answer states. */
function totalsOf(text: string): number[] {
  return [...text.matchAll(/"total_tokens":\s*(\d+)/g)].map(([, total]) => Number(total))
}

const chat = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Tell me a story' }], max_tokens: 24 }
const asking = { stream: true, stream_options: { include_usage: true } }
const cases: readonly (readonly [string, string, object])[] = [
  ['a whole answer', '/v1/chat/completions', chat],
  ['a stream', '/v1/chat/completions', { ...chat, ...asking }],
  ['a stream that did not ask for usage', '/v1/chat/completions', { ...chat, stream: true }],
  ['several answers', '/v1/chat/completions', { ...chat, n: 3 }],
  ['several answers in a stream', '/v1/chat/completions', { ...chat, ...asking, n: 3 }],
  ['several answers in a stream without usage', '/v1/chat/completions', { ...chat, stream: true, n: 2 }],
  ['a completion', '/v1/completions', { model: 'gpt-4o', prompt: 'Once', max_tokens: 24 }],
  [
    'a completion in a stream',
    '/v1/completions',
    { model: 'gpt-4o', prompt: 'Once', max_tokens: 9, ...asking },
  ],
]

describe('real local servers', () => {
  let folder: string
  const children: ChildProcess[] = []
  const origins: Record<string, string> = {}

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'local-servers-'))
    const model = join(folder, 'tiny.gguf')
    const made = spawn(join(home, 'bin/python'), [join(import.meta.dirname, 'model.py'), model])
    assert.equal((await once(made, 'exit'))[0], 0, 'the model was made')
    const [llamaPort, litePort] = [await freePort(), await freePort()]
    const llama = `http://127.0.0.1:${llamaPort}`
    const args = ['-m', model, '--host', '127.0.0.1', '--port', String(llamaPort), '-c', '4096', '-np', '4']
    children.push(await start(join(home, 'build/bin/llama-server'), args, `${llama}/health`))
    const config = join(folder, 'litellm.yaml')
    const server = { model: 'openai/tiny', api_base: `${llama}/v1`, api_key: 'none' }
    const models = [{ model_name: 'gpt-4o', litellm_params: server }]
    await writeFile(
      config,
      JSON.stringify({ model_list: models, general_settings: { master_key: serverKey } }),
    )
    const lite = `http://127.0.0.1:${litePort}`
    const liteArgs = ['--config', config, '--host', '127.0.0.1', '--port', String(litePort)]
    children.push(await start(join(home, 'bin/litellm'), liteArgs, `${lite}/health/liveliness`))
    Object.assign(origins, { 'llama-server': llama, litellm: lite })
  })
  after(async () => {
    for (const child of children) await stop(child)
    await rm(folder, { recursive: true, force: true })
  })

  for (const name of ['llama-server', 'litellm']) {
    describe(name, () => {
      let tap: Tap
      let harness: Harness
      before(async () => {
        tap = await openTap(origins[name] ?? '')
        harness = await openHarness(database, {
          upstreams: [upstreamAt(tap.origin, { provider: 'openai', models: ['*'] })],
        })
      })
      after(async () => {
        await harness.close()
        tap.close()
      })

      async function run(path: string, body: object): Promise<{ answer: Answer; used: number }> {
        const accessToken = await harness.createUser()
        const answer = await call(harness.port, { path, accessToken, body })
        await harness.settle()
        return { answer, used: await harness.usedBy(accessToken) }
      }

      for (const [what, path, body] of cases) {
        it(`charges ${what} as it states, and passes it byte for byte`, async () => {
          const { answer, used } = await run(path, body)
          assert.equal(answer.status, 200, answer.text)
          const totals = totalsOf(tap.last())
          // llama-server states the usage of each answer of a stream by itself.
          const stated = totals.reduce((sum, total) => sum + total, 0)
          assert.ok(stated > 0, tap.last())
          assert.equal(used, stated)
          assert.equal(harness.settlements.at(-1)?.isEstimated, false)
          const sent = tap.last()
          if ('stream' in body && !('stream_options' in body)) {
            const events = sent.split('\n\n').filter((event) => !event.includes('"total_tokens"'))
            assert.equal(answer.bytes.toString('latin1'), events.join('\n\n'))
          } else assert.equal(answer.bytes.toString('latin1'), sent)
        })
      }
    })
  }
})
