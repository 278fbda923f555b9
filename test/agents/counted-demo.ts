import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { call } from '../support/gateway-client.ts'
import { startProgram } from '../support/process.ts'

/** The demo as `npm start -- --demo` runs it, behind an address at which requests are counted. */
export interface CountedDemo {
  /** Where agents ask. */
  readonly origin: string
  /** What came in since the last time this was asked. */
  readonly takeSeen: () => readonly Seen[]
  readonly createUser: (edit: object) => Promise<string>
  readonly usageOf: (accessToken: string) => Promise<string>
  readonly close: () => Promise<void>
}

export interface Seen {
  readonly method: string
  readonly path: string
  readonly status: number
}

const adminKey = 'demo-admin-key-1'

export async function openCountedDemo(): Promise<CountedDemo> {
  const program = startProgram(['--demo'], { PORT: '0', LOG_LEVEL: 'warn' })
  const { port } = new URL(await program.listening)
  let seen: Seen[] = []
  const counter = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const upstream = forward({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      const { statusCode: status = 0, rawHeaders } = answer
      seen.push({ method, path: url, status })
      response.writeHead(status, rawHeaders)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    response.on('close', () => upstream.destroy())
    request.pipe(upstream)
  })
  await new Promise<void>((resolve) => counter.listen(0, '127.0.0.1', resolve))
  const { port: countedPort } = counter.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${countedPort}`,
    takeSeen() {
      const taken = seen
      seen = []
      return taken
    },
    async createUser(edit) {
      const headers = { authorization: `Bearer ${adminKey}` }
      const answer = await call(Number(port), { path: '/admin/users', headers, body: edit })
      if (answer.status !== 200) throw new Error(answer.text)
      const { token: accessToken }: { token: string } = JSON.parse(answer.text)
      return accessToken
    },
    usageOf: async (accessToken) =>
      (await call(Number(port), { method: 'GET', path: '/v1/usage', accessToken })).text,
    async close() {
      counter.closeAllConnections()
      await new Promise((resolve) => counter.close(resolve))
      program.process.kill('SIGTERM')
      await program.exit
    },
  }
}
