import type pg from 'pg'
import { endConnection } from '#storage/postgres/connect.ts'

/** A connection that is opened again whenever it is lost. */
export interface KeptConnection {
  /** Undefined while it is not connected. */
  readonly client: () => pg.Client | undefined
  /** Opens it, unless it is open. */
  readonly start: () => void
  /** To be called when this connection turns out to be dead. */
  readonly lose: (dead: pg.Client) => void
  readonly close: () => Promise<void>
}

const retryMs = 400

export function keepConnection({
  open,
  onOpening,
  onOpen,
  onLost,
}: {
  readonly open: () => Promise<pg.Client>
  readonly onOpening: () => void
  readonly onOpen: (client: pg.Client) => void
  readonly onLost: () => void
}): KeptConnection {
  let client: pg.Client | undefined
  let retry: NodeJS.Timeout | undefined
  let opening: Promise<void> | undefined
  let isClosed = false

  async function openOne(): Promise<void> {
    const fresh = await open()
    if (isClosed) return endConnection(fresh)
    client = fresh
    fresh.on('error', () => lose(fresh))
    fresh.on('end', () => lose(fresh))
    onOpen(fresh)
  }

  function start(): void {
    if (client || retry || isClosed) return
    onOpening()
    opening ??= openOne()
      .catch(() => {
        if (isClosed) return
        retry = setTimeout(() => {
          retry = undefined
          start()
        }, retryMs)
      })
      .finally(() => {
        opening = undefined
      })
  }

  function lose(dead: pg.Client): void {
    if (client !== dead || isClosed) return
    client = undefined
    void endConnection(dead)
    onLost()
    start()
  }

  return {
    client: () => client,
    start,
    lose,
    async close() {
      isClosed = true
      clearTimeout(retry)
      await opening
      if (client) await endConnection(client)
    },
  }
}
