import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { breakOffSocket } from '#storage/postgres/break-off.ts'
import { freePort } from './free-port.ts'

/**
 * - `reset`: connections break at once, and new ones are refused.
 * - `silent`: nothing arrives in either direction and neither side is told, as with a pulled cable; new ones wait.
 * - `unanswered`: everything arrives at the server, and no answer comes back.
 *
 * What `silent` and `unanswered` hold back arrives when the network is healed, as with TCP; `reset` loses it.
 */
export type CutMode = 'reset' | 'silent' | 'unanswered'

/** A network in front of a server on loopback that can fail. */
export interface Cut {
  readonly port: number
  /** The same URL, through this network. */
  readonly through: (url: string) => string
  readonly cut: (mode: CutMode) => Promise<void>
  /** Switches to `unanswered` when a client has sent this text; resolves then. */
  readonly cutAfter: (said: string) => Promise<void>
  readonly heal: () => Promise<void>
  readonly close: () => Promise<void>
}

interface Link {
  readonly client: Socket
  /** Undefined until the connection to the server is open. */
  server?: Socket
}

export async function startCut(serverPort: number): Promise<Cut> {
  const port = await freePort()
  const links = new Set<Link>()
  let mode: CutMode | undefined
  let awaited: { readonly said: string; readonly heard: () => void } | undefined

  const isHeld = (side: keyof Link) => mode === 'silent' || (mode === 'unanswered' && side === 'server')

  function flow(link: Link): void {
    for (const side of ['client', 'server'] as const) {
      if (isHeld(side)) link[side]?.pause()
      else if (link.server) link[side]?.resume()
    }
  }

  function enter(changed: CutMode | undefined): void {
    mode = changed
    for (const link of links) {
      if (!link.server && mode !== 'silent') join(link)
      flow(link)
    }
  }

  function listenTo(client: Socket): void {
    let last = ''
    client.on('data', (chunk) => {
      if (!awaited) return
      last = (last + chunk.toString('latin1')).slice(-65_536)
      if (!last.includes(awaited.said)) return
      const { heard } = awaited
      awaited = undefined
      enter('unanswered')
      heard()
    })
  }

  function forward(link: Link, side: keyof Link, from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => flow(link))
    from.on('close', () => to.destroySoon())
    if (side === 'client') listenTo(from)
  }

  function join(link: Link): void {
    const { client } = link
    const server = connect({ port: serverPort, host: '127.0.0.1', noDelay: true })
    link.server = server
    server.on('error', () => breakOffSocket(client))
    forward(link, 'client', client, server)
    forward(link, 'server', server, client)
  }

  const listener = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
    const link: Link = { client }
    links.add(link)
    client.on('error', () => link.server && breakOffSocket(link.server))
    client.on('close', () => links.delete(link))
    if (mode !== 'silent') join(link)
    flow(link)
  })

  async function listen(): Promise<void> {
    if (listener.listening) return
    listener.listen(port, '127.0.0.1')
    await once(listener, 'listening')
  }

  async function refuse(): Promise<void> {
    const isClosed = listener.listening ? once(listener, 'close') : undefined
    if (isClosed) listener.close()
    for (const { client, server } of links) {
      breakOffSocket(client)
      if (server) breakOffSocket(server)
    }
    await isClosed
  }

  await listen()
  return {
    port,
    through(url) {
      const changed = new URL(url)
      changed.port = String(port)
      return changed.href
    },
    async cut(next) {
      if (next === 'reset') await refuse()
      else await listen()
      enter(next)
    },
    cutAfter: (said) =>
      new Promise((resolve) => {
        awaited = { said, heard: resolve }
      }),
    async heal() {
      awaited = undefined
      enter(undefined)
      await listen()
    },
    close: refuse,
  }
}
