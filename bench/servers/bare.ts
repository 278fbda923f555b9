import { createServer } from 'node:http'
import { Agent } from 'undici'
import { announce } from '../support/child.ts'

/** The bare proxy that ratios are taken against: `node:http` and undici's dispatcher, and nothing else. */
const upstream = process.argv[2] ?? ''
const agent = new Agent({ connections: 4096, pipelining: 1 })

const server = createServer({ noDelay: true }, (request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    agent.dispatch(
      {
        origin: new URL(upstream).origin,
        path: new URL(upstream).pathname + (request.url ?? ''),
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: parts.length === 1 ? (parts[0] ?? null) : Buffer.concat(parts),
      },
      {
        onRequestStart(controller) {
          response.on('close', () => {
            if (!response.writableFinished) controller.abort(new Error('gone'))
          })
        },
        onResponseStart(_controller, status, headers) {
          const { 'transfer-encoding': _, connection: __, ...rest } = headers
          response.writeHead(status, rest)
        },
        onResponseData(controller, data) {
          if (response.write(data)) return
          controller.pause()
          response.once('drain', () => controller.resume())
        },
        onResponseEnd: () => response.end(),
        onResponseError: () => response.destroy(),
      },
    )
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') announce({ url: `http://127.0.0.1:${address.port}` })
})
