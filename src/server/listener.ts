import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** One listening socket. */
export interface Listener {
  readonly url: string
  /** Accepts no new connections, lets running requests end within the grace period, and then closes the rest. */
  readonly close: (graceMs: number) => Promise<void>
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
}

/** Opens a listener; throws with one clear sentence where the address is not available. */
export async function openListener(options: ListenerOptions, listen: RequestListener): Promise<Listener> {
  const server = createServer(
    // Longer than the usual idle timeout of a balancer, so that the balancer closes first.
    { keepAliveTimeout: 75_000, headersTimeout: 60_000, requestTimeout: 300_000, noDelay: true },
    listen,
  )
  server.on('clientError', answerBroken)
  server.on('connect', (_request, socket) => answerRaw(socket, notTunnel))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explain(error, options)))
    server.listen(options.port, options.host, resolve)
  })
  return { url: urlOf(server, options.host), close: (graceMs) => close(server, graceMs) }
}

function urlOf(server: Server, host: string): string {
  // A TCP listener's address is never a string.
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const idleLookMs = 50

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // A kept-alive connection becomes idle when its request ends, which may be after the close began.
    const sweep = setInterval(() => server.closeIdleConnections(), idleLookMs)
    const end = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(() => {
      clearInterval(sweep)
      clearTimeout(end)
      resolve()
    })
    server.closeIdleConnections()
  })
}

/**
 * Bytes that are not HTTP have no path and so no protocol: they get the admin API's shape, which every client can read.
 */
function answerBroken(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  answerRaw(socket, brokenAnswers[error.code ?? ''] ?? brokenAnswer)
}

type RawAnswer = readonly [status: string, code: string, message: string]
/** The status after which sending the same request again may help. */
const timedOut = '408 Request Timeout'

/** Answers bytes that never became a request, and closes the connection. */
function answerRaw(socket: Duplex, [status, code, message]: RawAnswer): void {
  const body = JSON.stringify({ error: message, code })
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\nCache-Control: no-store\r\n${status === timedOut ? '' : 'X-Should-Retry: false\r\n'}\r\n${body}`,
  )
}

const brokenAnswer: RawAnswer = ['400 Bad Request', 'bad_request', 'That is not valid HTTP.']
const notTunnel: RawAnswer = [
  '405 Method Not Allowed',
  'method_not_allowed',
  'CONNECT is not supported: Tollgate is not a forward proxy.',
]
const brokenAnswers: Readonly<Record<string, RawAnswer>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'bad_request', 'The headers are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [timedOut, 'bad_request', 'The request did not arrive in time.'],
}

function explain(error: NodeJS.ErrnoException, { host, port }: ListenerOptions): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new Error(`${host}:${port} is in use by another process: stop it, or set PORT`, { cause: error })
    case 'EACCES':
      return new Error(`${host}:${port} may not be opened by this user: set PORT to 1024 or above`, {
        cause: error,
      })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new Error(`HOST ${host} is not an address of this machine: set HOST to one of its addresses`, {
        cause: error,
      })
    default:
      return error
  }
}
