import type { Socket } from 'node:net'
import { buildConnector } from 'undici'

/** Facts about a connection that failed. */
export interface ConnectionFacts {
  /** It had answered a request before. */
  readonly hasServed: boolean
  /** How long it took to open: at least one round trip to the other end. */
  readonly openedInMs: number
}

const facts = new WeakMap<Error, ConnectionFacts>()

/** Facts of the connection that ended with this error; undefined where no connection had been opened. */
export function factsOf(error: Error): ConnectionFacts | undefined {
  return facts.get(error)
}

/**
 * Opens connections as undici does, and notes the facts of a connection beside the error that ends it. The error of a
 * reset does not name its connection, and undici passes nothing else on to the request.
 */
export function createConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  return noting(buildConnector(options))
}

/** The same for connections that another connector opens. */
export function noting(open: buildConnector.connector): buildConnector.connector {
  return (target, callback) => {
    const startedAt = performance.now()
    open(target, (...opened) => {
      const [error, socket] = opened
      if (!error) note(socket, performance.now() - startedAt)
      callback(...opened)
    })
  }
}

/** Before undici adds its own listener, which passes the error on. */
function note(socket: Socket, openedInMs: number): void {
  socket.on('error', (error: Error) => {
    facts.set(error, { hasServed: socket.bytesRead > 0, openedInMs })
  })
}
