import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withFolder } from './support/folder.ts'
import { startProgram } from './support/process.ts'

const adminKey = 'a-test-admin-key-1'

describe('the names of models in reports of the program', () => {
  it('are those that the configuration spells out, also where no request was answered', () =>
    withFolder(async (folder) => {
      const upstream = createServer(({ url }, response) => {
        if (url?.startsWith('/v1/models')) {
          response.writeHead(200, { 'content-type': 'application/json' })
          response.end('{"object": "list", "data": [{"id": "listed", "object": "model"}]}')
          return
        }
        response.writeHead(404, { 'content-type': 'application/json' })
        response.end('{"error": {"message": "there is no such model", "code": "model_not_found"}}')
      })
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
      const { port } = upstream.address() as AddressInfo
      const baseUrl = `http://127.0.0.1:${port}/v1`
      const file = join(folder, 'tollgate.yaml')
      writeFileSync(
        file,
        `promptModel: of-prompts
upstreams:
  - { name: any, provider: openai, baseUrl: "${baseUrl}", apiKey: none, models: [spelled-out, "*"] }
  - { name: renamed, provider: openai, baseUrl: "${baseUrl}", apiKey: none, models: { alias: its-name } }
passThrough:
  - { provider: openai, path: /v1/files, methods: [GET] }
  - { provider: openai, path: /v1/audio/voices, model: of-routes, runsModels: false }
`,
      )
      const program = startProgram([], { DATA_DIR: folder, CONFIG: file, PORT: '0', ADMIN_KEY: adminKey })
      try {
        const url = await program.listening
        const ask = async (path: string, key: string, body?: object) => {
          const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
          const post = body && { method: 'POST', body: JSON.stringify(body) }
          return fetch(`${url}${path}`, { headers, ...post })
        }
        const made = await ask('/admin/users', adminKey, {})
        const { token } = (await made.json()) as { token: string }
        const messages = [{ role: 'user', content: 'hi' }]
        assert.equal((await ask('/v1/models', token)).status, 200)
        for (const model of ['listed', 'spelled-out', 'alias', 'made-up-1', 'made-up-2', '(other)'])
          assert.equal((await ask('/v1/chat/completions', token, { model, messages })).status, 404)
        assert.equal((await ask('/v1/responses', token, { prompt: { id: 'p' }, input: 'hi' })).status, 404)
        assert.equal((await ask('/v1/files', token)).status, 404)
        assert.equal((await ask('/v1/audio/voices', token, { text: 'hi' })).status, 404)
        const report = await ask('/admin/usage?groupBy=model', adminKey)
        const { rows } = (await report.json()) as { rows: readonly { model: string; requests: number }[] }
        assert.deepEqual(Object.fromEntries(rows.map(({ model, requests }) => [model, requests])), {
          '(other)': 3,
          '/v1/files': 1,
          alias: 1,
          listed: 1,
          'of-prompts': 1,
          'of-routes': 1,
          'spelled-out': 1,
        })
        const found = await ask('/admin/requests?model=made-up-2', adminKey)
        assert.equal(((await found.json()) as { count: number }).count, 1)
      } finally {
        program.process.kill('SIGTERM')
        await program.exit
        upstream.closeAllConnections()
        await new Promise((resolve) => upstream.close(resolve))
      }
    }))
})
