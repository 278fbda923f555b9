import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** An HTTP proxy: forwards plain requests, opens tunnels, and records what it was asked for. */
export interface ForwardProxy {
  readonly url: string
  /** `GET http://…` and `CONNECT host:port`, in order. */
  readonly asked: readonly string[]
  /** The `proxy-authorization` of each request. */
  readonly credentials: readonly (string | undefined)[]
  readonly close: () => Promise<void>
}

/** @param refuses answers 407 to every credential */
export async function openForwardProxy({ refuses = false } = {}): Promise<ForwardProxy> {
  const asked: string[] = []
  const credentials: (string | undefined)[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    credentials.push(request.headers['proxy-authorization'])
    if (refuses) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end('Credentials, please')
      return
    }
    const { method } = request
    const { 'proxy-authorization': _, ...headers } = request.headers
    const passed = httpRequest(request.url ?? '', { method, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    passed.on('error', () => response.destroy())
    request.pipe(passed)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  server.on('connect', (request, socket: Socket, head) => {
    asked.push(`CONNECT ${request.url}`)
    credentials.push(request.headers['proxy-authorization'])
    if (refuses) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n')
      return
    }
    const [host = '', port] = (request.url ?? '').split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      onward.pipe(socket)
      socket.pipe(onward)
    })
    sockets.add(onward)
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    credentials,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
